import { XMLParser } from 'fast-xml-parser'

const reader = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false, htmlEntities: true })

/**
 * An XML document as objects: elements by name, text as strings, several of a name as an array. An attribute is a member `@name` beside the elements; an element that has both attributes
 * and text has the text as `#text`. Undefined for what is no XML.
 */
export function readXml(document: string): unknown {
  if (!document.trimStart().startsWith('<')) return undefined
  try {
    return reader.parse(document)
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
