// Models that TensorFlow Lite Micro runs and mote refuses, each with a part of the message.

export const REFUSED: Readonly<Record<string, string>> = {
  'models/tflm/audio_preprocessor_int8.tflite': 'operator custom "SignalWindow" is not supported',
}
