/** Preloaded into a Node contender whose memory is weighed: SIGUSR2 collects garbage, so that RSS shows what is held and not what is left lying about. */
process.on('SIGUSR2', () => {
  for (let i = 0; i < 3; i++) globalThis.gc?.()
})
