import fc from 'fast-check'
import t from 'tap'
import { REDACTED, Redactor } from '../../src/observe/redactor.js'
import { MIN_SECRET } from '../../src/shared/secrets.js'

const redacting = (...values: string[]): Redactor => {
  const redactor = new Redactor()
  redactor.add(values, 'told')
  return redactor
}

t.test('a value is taken out wherever and however often it stands', async (t) => {
  const redactor = redacting('hunter22')
  t.equal(redactor.text('hunter22 and xhunter22x'), `${REDACTED} and x${REDACTED}x`)
  t.equal(redactor.text('nothing here'), 'nothing here')
})

t.test('a value is found as a URL and as JSON write it, and the other way round', async (t) => {
  const redactor = redacting('pa ss/"word')
  for (const form of ['pa ss/"word', 'pa%20ss%2F%22word', 'pa ss/\\"word'])
    t.equal(redactor.text(`<${form}>`), `<${REDACTED}>`, form)
  t.equal(redacting('p%40ssw0rd').text('p@ssw0rd p%40ssw0rd'), `${REDACTED} ${REDACTED}`)
})

t.test('of a value of several lines each line is taken out', async (t) => {
  const redactor = redacting('-----BEGIN KEY-----\nMIIEvQIBADAN\nshort\n-----END KEY-----\n')
  t.equal(redactor.text('MIIEvQIBADAN'), REDACTED)
  t.equal(redactor.text('short'), 'short', `fewer than ${MIN_SECRET} characters`)
})

t.test('of two values that begin alike nothing of the longer one is left', async (t) => {
  t.equal(redacting('secret', 'secret-and-more').text('secret-and-more'), REDACTED)
})

t.test('values that are too short are left alone', async (t) => {
  t.equal(redacting('12345', '').text('12345'), '12345')
})

t.test('credentials in URLs are taken out without being known', async (t) => {
  const redactor = redacting()
  const pairs = [
    ['at wss://me:pw@host/feed now', `at wss://${REDACTED}@host/feed now`],
    ['redis://:pw@host', `redis://${REDACTED}@host`],
    ['a://u:p@ss@host b://x:y@z', `a://${REDACTED}@host b://${REDACTED}@z`],
    ['http://host:8080/a@b', 'http://host:8080/a@b'],
    ['git@github.com:x and ssh://git@host', 'git@github.com:x and ssh://git@host'],
  ] as const
  for (const [text, safe] of pairs) t.equal(redactor.text(text), safe)
})

t.test('however many values are told, a bounded number is looked for, the newest', async (t) => {
  const redactor = redacting(...Array.from({ length: 5_000 }, (_, i) => `secret${i}`), 'newest-value')
  t.equal(redactor.text('secret7x secret4999 newest-value'), `secret7x ${REDACTED} ${REDACTED}`)
})

t.test('what workers tell pushes out nothing that the configuration names', async (t) => {
  const redactor = new Redactor()
  redactor.add(['named-value'], 'named')
  redactor.add(
    Array.from({ length: 5_000 }, (_, i) => `secret${i}`),
    'told',
  )
  t.equal(redactor.text('named-value'), REDACTED)
})

t.test('a long line is searched in no time, whatever it holds', async (t) => {
  const redactor = redacting(...Array.from({ length: 200 }, (_, i) => `${'a'.repeat(50)}${i}`))
  for (const part of ['a', '://', '://a:', ':', '@', 'x://a:b'])
    for (let i = 0; i < 20; i++) t.ok(redactor.text(`${part.repeat(16_384 / part.length)}@`))
})

t.test('no value of any kind survives', async () => {
  const texts = fc.string({ minLength: MIN_SECRET, unit: 'grapheme' })
  const property = fc.property(texts, fc.string(), fc.string(), (secret, before, after) => {
    const line = secret.split(/[\r\n]+/)[0]?.trim() ?? ''
    fc.pre(line.length >= MIN_SECRET && !REDACTED.includes(line))
    return !redacting(secret).text(`${before}${line}${after}`).includes(line)
  })
  fc.assert(property, { numRuns: 300 })
})
