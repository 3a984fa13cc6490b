import type { Provider } from './provider.js'

// only forms that begin with letters of their own: 32 characters of anything prove nothing
const telling = /^\^\(?[A-Za-z]{2,}/

/** A test for texts that look like some provider's real key. An access token never does: it begins as every JWT does. */
export function compileKeyShapes(providers: readonly Provider[]): (text: string) => boolean {
  const shapes = providers
    .filter(provider => !provider.serve)
    .flatMap(provider => provider.keyHints.map(hint => hint.pattern))
    .filter(pattern => telling.test(pattern.source))
  return text => !text.startsWith('eyJ') && shapes.some(pattern => pattern.test(text))
}
