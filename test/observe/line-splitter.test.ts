import t from 'tap'
import { type Cut, LineSplitter, MAX_LINE } from '../../src/observe/line-splitter.js'

const split = (...chunks: (string | Buffer)[]): string[] => {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line))
  for (const chunk of chunks) splitter.push(Buffer.from(chunk))
  splitter.end()
  return lines
}

t.test('lines come whole however the bytes are cut', async (t) => {
  const text = 'one\ntwo\r\n\nthree é'
  const bytes = Buffer.from(text)
  t.same(split(text), ['one', 'two', '', 'three é'])
  t.same(split(...Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))), ['one', 'two', '', 'three é'])
})

t.test('a line without an end is handed out in pieces', async (t) => {
  t.same(
    split('x'.repeat(MAX_LINE * 2 + 5)).map((line) => line.length),
    [MAX_LINE, MAX_LINE, 5],
  )
  t.same(
    split(`${'x'.repeat(MAX_LINE + 1)}\nrest`).map((line) => line.length),
    [MAX_LINE, 1, 4],
  )
})

t.test('a word that is changed before a cut is found wherever the cut and the chunks fall', async (t) => {
  const beforeCut: Cut = { reach: 6, change: (text) => text.replaceAll('secret', '#') }
  for (const ending of ['', '\n']) {
    for (let before = MAX_LINE - 8; before <= MAX_LINE + 8; before++) {
      for (let arrived = 0; arrived <= 6; arrived++) {
        const lines: string[] = []
        const splitter = new LineSplitter((line) => lines.push(line), beforeCut)
        splitter.push(Buffer.from('x'.repeat(before) + 'secret'.slice(0, arrived)))
        splitter.push(Buffer.from(`${'secret'.slice(arrived)}${'y'.repeat(MAX_LINE)}${ending}`))
        splitter.end()
        const whole = `${'x'.repeat(before)}#${'y'.repeat(MAX_LINE)}`
        if (lines.join('') !== whole) t.fail(`${before} before, ${arrived} of 6 arrived first`)
      }
    }
  }
  t.pass('238 ways to cut')
})
