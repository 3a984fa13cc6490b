import { XMLParser } from 'fast-xml-parser'

const reader = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false, htmlEntities: true })

const wholeReader = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  htmlEntities: true,
})

/**
 * An XML document as objects: elements by name, text as strings, several of a name as an array. An attribute is a member `@name` beside the elements; an element that has both attributes
 * and text has the text as `#text`. Undefined for what is no XML.
 */
export function readXml(document: string): unknown {
  return parse(reader, document)
}

/** The same with every space of a value; undefined also for a document that breaks off, or is not well-formed otherwise. */
export function readXmlWhole(document: string): unknown {
  return parse(wholeReader, document, true)
}

function parse(parser: XMLParser, document: string, strictly = false): unknown {
  if (!document.trimStart().startsWith('<')) return undefined
  try {
    return parser.parse(document, strictly)
  } catch {
    return undefined
  }
}

/** One or several of a name, as an array. */
export function several(value: unknown): readonly unknown[] {
  return value === undefined || value === '' ? [] : Array.isArray(value) ? value : [value]
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
