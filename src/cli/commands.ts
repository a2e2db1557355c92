import { balancerCommand } from './balancer.ts'
import type { CommandFactory } from './command.ts'
import { configCommand } from './config.ts'
import { createCommand } from './create.ts'
import { deleteCommand } from './delete.ts'
import { demoCommand } from './demo.ts'
import { deployCommand } from './deploy.ts'
import { initCommand } from './init.ts'
import { inspectCommand } from './inspect.ts'
import { invokeCommand } from './invoke.ts'
import { listCommand } from './list.ts'
import { nodeCommand } from './node.ts'
import { runtimeCommand } from './runtime.ts'
import { startCommand } from './start.ts'
import { versionCommand } from './version.ts'

/** Every command, in the order of the help. A new one is a file that exports a factory, and a line here. */
export const COMMANDS: readonly CommandFactory[] = [
  startCommand,
  nodeCommand,
  balancerCommand,
  demoCommand,
  runtimeCommand,
  initCommand,
  deployCommand,
  invokeCommand,
  listCommand,
  inspectCommand,
  createCommand,
  configCommand,
  deleteCommand,
  versionCommand,
]
