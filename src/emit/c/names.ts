// Names of models, tensors and registers -> C identifiers that are keywords of neither C nor C++.

const KEYWORDS = new Set(
  (
    'alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const constexpr ' +
    'const_cast continue decltype default delete do double dynamic_cast else enum explicit export extern false float ' +
    'for friend goto if inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq ' +
    'private protected public register reinterpret_cast requires restrict return short signed sizeof static ' +
    'static_assert static_cast struct switch template this throw true try typedef typeid typename union unsigned ' +
    'using virtual void volatile wchar_t while xor xor_eq memcpy memset memmove memcmp offsetof'
  ).split(' '),
)

/** The name with every character that C does not allow as `_`; never empty, a keyword, or a type of <stdint.h>. */
export function identifier(name: string): string {
  const plain = name
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .replace(/^(?=[0-9])/, 'm')
  if (plain === '') return 'model'
  return KEYWORDS.has(plain) || /^u?int\w*_t$/.test(plain) ? `${plain}_` : plain
}

/** Hands out identifiers, each once: `base`, or `base_2`, `base_3`, … */
export function identifiers(taken: Iterable<string> = []): (name: string) => string {
  const all = new Set(taken)
  return (name) => {
    const base = identifier(name)
    let id = base
    for (let n = 2; all.has(id); n++) id = `${base}_${n}`
    all.add(id)
    return id
  }
}

/** Text that ends no comment and is one line. */
export function comment(text: string): string {
  return text.replaceAll('*/', '* /').replaceAll('/*', '/ *').replaceAll(/\s+/g, ' ')
}
