import t from 'tap'
import { secretsOf } from '../../src/client/client-secrets.js'

const found = (url: string, headers: Record<string, string> = {}): string[] =>
  secretsOf(new URL(url), headers).filter((value) => value !== '')

t.test('the password of a url is secret, or its user where that is all', async (t) => {
  t.same(found('wss://me:hunter22@host/feed'), ['hunter22'])
  t.same(found('wss://t0k3n@host/feed'), ['t0k3n'])
  t.same(found('wss://host/feed'), [])
})

t.test('parameters that carry credentials are secret, others are not', async (t) => {
  t.same(found('wss://host/?access_token=abc%20def&symbol=BTCUSD&api_key=k1'), ['abc def', 'k1'])
})

t.test('every header is secret but those that say nothing secret', async (t) => {
  t.same(found('wss://host', { 'User-Agent': 'x', accept: '*/*', origin: 'https://host' }), [])
  t.same(found('wss://host', { Authorization: 'Bearer abc.def' }), ['Bearer abc.def', 'abc.def'])
  t.same(found('wss://host', { 'x-api-key': 'k1' }), ['k1'])
  t.same(found('wss://host', { cookie: 'a=1; sid=abc' }), ['a=1; sid=abc', '1', 'abc'])
})

t.test('the password inside basic credentials is secret by itself', async (t) => {
  const basic = Buffer.from('me:hunter22').toString('base64')
  t.same(found('wss://host', { authorization: `Basic ${basic}` }), [`Basic ${basic}`, basic, 'hunter22'])
})
