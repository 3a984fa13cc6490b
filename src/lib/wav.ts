/**
 * At most so many seconds of sound are in a WAV file of plain samples (https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html). Undefined for any other
 * file: a compressed one may be of any length, and so may one whose header says several things.
 */
export function secondsOfWav(file: Buffer): number | undefined {
  if (file.length < 44 || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 16) !== 'WAVEfmt ') return undefined
  const size = file.readUInt32LE(16)
  const format = file.readUInt16LE(20)
  const channels = file.readUInt16LE(22)
  const samplesPerSecond = file.readUInt32LE(24)
  const bytesPerSecond = file.readUInt32LE(28)
  const bits = file.readUInt16LE(34)
  const isPlain = (format === 1 && (bits === 8 || bits === 16 || bits === 24 || bits === 32)) || (format === 3 && bits === 32)
  const bytesPerSample = (channels * bits) / 8
  if (!isPlain || size > 64 || bytesPerSample === 0 || bytesPerSecond === 0) return undefined
  if (file.readUInt16LE(32) !== bytesPerSample || bytesPerSecond !== samplesPerSecond * bytesPerSample) return undefined
  return leadsToSamples(file, 20 + size + (size % 2)) ? Math.ceil(file.length / bytesPerSecond) : undefined
}

/** Whether nothing stands before the samples that could say otherwise. */
function leadsToSamples(file: Buffer, from: number): boolean {
  let at = from
  for (let chunks = 0; chunks < 32 && at + 8 <= file.length; chunks++) {
    const id = file.toString('latin1', at, at + 4)
    if (id === 'data' || id === 'fmt ') return id === 'data'
    const size = file.readUInt32LE(at + 4)
    at += 8 + size + (size % 2)
  }
  return false
}
