// Drops the nodes whose results nobody reads.

import type { Pass } from '../ir/graph.ts'
import { withoutUnread } from '../ir/live.ts'

export const prune: Pass = withoutUnread
