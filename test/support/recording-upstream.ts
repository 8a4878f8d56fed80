// The recording upstream, for tests: ended with the test. It lives in examples/feed/upstream.js, where the demo uses it too.

import type { Test } from 'tap'
import { type RecordingUpstream, startUpstream } from '../../examples/feed/upstream.js'

export type { RecordingUpstream }

/** Starts an upstream on a free loopback port; it is stopped when the test is over. */
export const recordingUpstream = async (
  t: Test,
  behaviour: Parameters<typeof startUpstream>[0] = {},
): Promise<RecordingUpstream> => {
  const upstream = await startUpstream(behaviour)
  t.teardown(() => upstream.stop())
  return upstream
}
