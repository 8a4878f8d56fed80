// In which order, and with how much time each, the resources of this process are closed: what was opened last is closed
// first, because it may use what was opened before it.
//
// WebSocket clients that were opened one after another use nothing of each other and are closed together; a resource
// that others may use is closed by itself, when those opened after it are gone. One that hangs delays the others by its
// share of the time and no more.

import { monotonicNow } from './clock.js'
import type { Resource } from './resources.js'
import { settledWithin } from './settled-within.js'

/**
 * Settles when all are closed; within `timeout` if each `close` settles within the ms that it is given.
 *
 * @param resources in the order of closing: `resourcesNewestFirst()`.
 */
export const closeInOrder = async (
  resources: readonly Resource[],
  timeout: number,
  close: (resource: Resource, timeout: number) => Promise<unknown>,
): Promise<void> => {
  const end = monotonicNow() + timeout
  const stages = stagesOf(resources)
  const begun: Promise<unknown>[] = []
  for (const [index, stage] of stages.entries()) {
    const left = Math.max(1, Math.ceil(end - monotonicNow()))
    const closed = Promise.allSettled(stage.map((resource) => close(resource, left)))
    begun.push(closed)
    if (index < stages.length - 1) await settledWithin(closed, left / (stages.length - index))
  }
  await Promise.all(begun)
}

const stagesOf = (resources: readonly Resource[]): Resource[][] => {
  const stages: Resource[][] = []
  let together: Resource[] | null = null
  for (const resource of resources) {
    const isLikeThose = together?.[0]?.isWork === resource.isWork
    if (together !== null && isLikeThose && !resource.isUsedByOthers) together.push(resource)
    else {
      const stage = [resource]
      stages.push(stage)
      together = resource.isUsedByOthers ? null : stage
    }
  }
  return stages
}
