import t from 'tap'
import { MAX_SECRETS, onSecrets, tellSecrets } from '../../src/shared/secrets.js'

t.test('values are told once, bounded, to who listens and to who comes later', async (t) => {
  const heard: (readonly string[])[] = []
  const stop = onSecrets((values) => heard.push(values))
  tellSecrets(['hunter22', 'short'])
  tellSecrets(['hunter22'])
  tellSecrets(['x'.repeat(10_000)])
  t.same(heard, [['hunter22'], ['x'.repeat(4_096)]])
  stop()
  tellSecrets(Array.from({ length: 1_000 }, (_, i) => `value-${i}`))
  t.equal(heard.length, 2)
  const later: (readonly string[])[] = []
  t.teardown(onSecrets((values) => later.push(values)))
  t.equal(later.length, 1)
  t.equal(later[0]?.length, MAX_SECRETS)
})
