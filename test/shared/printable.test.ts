import t from 'tap'
import { printable } from '../../src/shared/printable.js'

t.test('text without control characters stays as it is', async (t) => {
  const text = 'worker 0\tgrüße 日本 🚀 {"a":1}'
  t.equal(printable(text), text)
})

t.test('control characters are escaped and stay readable', async (t) => {
  t.equal(printable('\x1b[31mred\x1b[0m'), '\\x1b[31mred\\x1b[0m')
  t.equal(printable('a\nb\r\0\x7f\x9b'), 'a\\nb\\r\\x00\\x7f\\x9b')
})

t.test('marks that break or reorder lines are escaped', async (t) => {
  t.equal(printable('a\u2028b\u202ec\u2066\ud800'), 'a\\u2028b\\u202ec\\u2066\\ud800')
})
