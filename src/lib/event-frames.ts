/** A reader of `application/vnd.amazon.eventstream`, fed with bytes as they come. */
export interface FrameReader {
  feed(chunk: Buffer): void
}

const preludeBytes = 12
const crcBytes = 4
const maxFrameBytes = 16 * 1024 * 1024

/**
 * Tells the payload of each whole frame; one that is cut off at the end is not told. Checksums are the client's to check: nothing is decided by what is read here.
 *
 * Layout: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html (total length, length of the headers, CRC of these, headers, payload, CRC of all).
 */
export function createFrameReader(onPayload: (payload: Buffer) => void): FrameReader {
  let held: Buffer[] = []
  let size = 0
  /** Bytes of the frame at the front, once its length is known. */
  let wanted = preludeBytes
  let lost = false

  function take(): Buffer {
    const all = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held, size)
    held = [all]
    return all
  }

  return {
    feed(chunk) {
      if (lost) return
      held.push(chunk)
      size += chunk.length
      while (size >= wanted) {
        const all = take()
        const total = all.readUInt32BE(0)
        const headers = all.readUInt32BE(4)
        if (total < preludeBytes + headers + crcBytes || total > maxFrameBytes) {
          lost = true
          held = []
          return
        }
        if (size < total) {
          wanted = total
          return
        }
        onPayload(all.subarray(preludeBytes + headers, total - crcBytes))
        held = [all.subarray(total)]
        size -= total
        wanted = preludeBytes
      }
    },
  }
}
