// Text from others, made safe to show: no control character reaches a terminal, a log line stays one line.
// Nothing is removed: what is escaped can still be read.

/**
 * The text with control characters (C0 without tab, DEL, C1), line and paragraph separators, and the marks that
 * reorder text written as `\x1b` or `\u202e`.
 */
export const printable = (text: string): string => {
  if (HARMLESS.test(text)) return text
  let safe = ''
  for (const character of text) safe += isHarmless(character) ? character : escaped(character)
  return safe
}

/** The usual case, quickly: nothing in it can do harm. */
const HARMLESS = /^[\t\x20-\x7e\xa0-\u00ff]*$/

const isHarmless = (character: string): boolean => {
  const code = character.codePointAt(0) ?? 0
  if (code === 0x09) return true
  if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return false
  return !(
    code === 0x061c ||
    (code >= 0x200e && code <= 0x200f) ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069) ||
    (code >= 0xd800 && code <= 0xdfff)
  )
}

const escaped = (character: string): string => {
  const hex = (character.codePointAt(0) ?? 0).toString(16)
  if (character === '\n') return '\\n'
  if (character === '\r') return '\\r'
  return hex.length <= 2 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
}
