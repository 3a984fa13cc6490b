import { object } from '../usage.js'
import type { Conversation, SocketBound } from './socket.js'

/**
 * OpenAI's Realtime API: 4096 model tokens are the most that an answer may have (`max_output_tokens` of a session or a response), a token is 100 ms heard, 50 ms said
 * (https://platform.openai.com/docs/guides/realtime-costs). Each answer is billed with the whole conversation before it.
 */
const longestAnswer = 4096
/** Instructions that a session has without having been given any. */
const givenAtStart = 1000
/** 600 heard in a minute, and a thousand of text. */
const openaiMinute = 1600

/** Sessions and answers say what holds for them; the server's word counts, since it may have refused what the client asked for. */
function openaiConversation(): Conversation {
  let asked = 0
  let begun = 0
  let context = givenAtStart
  let ofSession = longestAnswer
  let ofAnswers = 0
  let lastAsked = false

  const plain = (value: unknown) => (typeof value === 'number' && value >= 1 && value < longestAnswer ? Math.ceil(value) : longestAnswer)

  function ended(response: Record<string, unknown> | undefined): 'reported' | 'changed' {
    const usage = object(response?.usage)
    const input = usage?.input_tokens
    // one that ended without its counts stays under way, so that its cost stays held
    if (typeof input === 'number' || response?.status === 'failed') begun = Math.max(0, begun - 1)
    if (asked + begun === 0) ofAnswers = 0
    if (typeof input !== 'number') return 'changed'
    const output = typeof usage?.output_tokens === 'number' ? usage.output_tokens : 0
    // an answer beside the conversation says nothing of how long that is
    context = response?.conversation_id === null ? Math.max(context, input) : Math.max(givenAtStart, input + output)
    return 'reported'
  }

  return {
    get open() {
      return asked + begun
    },
    get context() {
      return context
    },
    get mostOutput() {
      return Math.max(ofSession, ofAnswers)
    },

    asked(type, output) {
      lastAsked = type === 'response.create'
      if (!lastAsked) return
      asked++
      if (output !== undefined && output !== null) ofAnswers = Math.max(ofAnswers, plain(output))
    },

    withdrawn() {
      if (lastAsked) asked = Math.max(0, asked - 1)
    },

    heard(message) {
      const event = object(message)
      switch (event?.type) {
        case 'session.created':
        case 'session.updated': {
          const session = object(event.session)
          ofSession = plain(session?.max_output_tokens ?? session?.max_response_output_tokens)
          return 'changed'
        }
        case 'response.created':
          asked = Math.max(0, asked - 1)
          begun++
          return 'changed'
        case 'response.done':
          return ended(object(event.response))
        case 'error':
          asked = Math.max(0, asked - 1)
          return 'changed'
        default:
          return 'nothing'
      }
    },
  }
}

export const openaiAnswers: SocketBound = {
  by: 'answers',
  conversation: openaiConversation,
  signs: ['"session.created"', '"session.updated"', '"response.created"', '"response.done"', '"error"'],
  minuteTokens: openaiMinute,
  // G.711 at 8 kHz, the least that the API takes
  media: [{ at: '/audio', bytesPerToken: 1066 }],
  outputs: ['/response/max_output_tokens'],
  longest: longestAnswer,
}

/**
 * Gemini's Live API: 25 model tokens are a second of sound, 258 a picture, of which one is looked at each second (https://ai.google.dev/gemini-api/docs/live-guide); each turn is billed with
 * the whole session before it. Answers of its models are at most 8192 long (https://ai.google.dev/gemini-api/docs/models).
 */
const longestTurn = 8192
/** A minute of sound and a thousand of text. */
const geminiMinute = 2500

function geminiConversation(): Conversation {
  let isAnswering = false
  /** Turns without their counts, which may come with the next one's. */
  let open = 0
  let context = givenAtStart
  let mostOutput = longestTurn
  return {
    get open() {
      return open
    },
    get context() {
      return context
    },
    get mostOutput() {
      return mostOutput
    },

    asked(_, output) {
      if (typeof output === 'number' && output >= 1) mostOutput = Math.ceil(output)
    },

    withdrawn() {},

    heard(message) {
      const event = object(message)
      const content = object(event?.serverContent)
      if (object(content?.modelTurn) && !isAnswering) {
        isAnswering = true
        open++
      }
      if (content?.turnComplete === true || content?.interrupted === true) isAnswering = false
      const total = object(event?.usageMetadata)?.totalTokenCount
      if (typeof total === 'number') {
        open = 0
        context = Math.max(givenAtStart, total)
        return 'reported'
      }
      return content === undefined ? 'nothing' : 'changed'
    },
  }
}

export const geminiAnswers: SocketBound = {
  by: 'answers',
  conversation: geminiConversation,
  signs: ['modelTurn', 'usageMetadata', 'turnComplete', 'interrupted'],
  minuteTokens: geminiMinute,
  media: [
    // 8 kHz, the least that anybody sends
    { at: '/realtimeInput/audio/data', bytesPerToken: 660 },
    // sound or pictures, which nothing at this place tells apart; what newer clients do not send any more
    { at: '/realtimeInput/mediaChunks/*/data', bytesPerToken: 100 },
    { at: '/realtimeInput/video/data', tokens: 1200 },
  ],
  outputs: ['/setup/generationConfig/maxOutputTokens', '/setup/generation_config/max_output_tokens'],
  longest: longestTurn,
}
