// Sends what the microphone hears in pieces of 100 ms.

const PIECE = sampleRate / 10

class Microphone extends AudioWorkletProcessor {
  piece = new Float32Array(PIECE)
  held = 0

  process([[samples]]) {
    for (const x of samples ?? []) {
      this.piece[this.held++] = x
      if (this.held < PIECE) continue
      this.port.postMessage(this.piece)
      this.held = 0
    }
    return true
  }
}

registerProcessor('microphone', Microphone)
