import { shapeOf } from '../../core/routes.ts'

/** Equal for sources that take the same paths: what a trigger's source is unique by. No source begins with a colon. */
export function pathsOf(source: string): string {
  const shape = shapeOf(source)
  return shape === undefined ? source : `:${shape}`
}
