/**
 * Preloaded into a daemon by `--import`: writes a heap snapshot when the parent process asks over the channel between them. The product itself has no way to do this.
 */
import { writeHeapSnapshot } from 'node:v8'

process.on('message', (file: string) => {
  writeHeapSnapshot(file)
  process.send?.(file)
})
// the channel alone must not keep a stopped daemon alive
process.channel?.unref()
