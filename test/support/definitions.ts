import { type App, FN_SETTINGS, type Fn } from '../../src/core/words.ts'
import { type Definition, define } from '../../src/runner/definition.ts'

const NOW = '2026-01-01T00:00:00.000Z'

export const makeApp = (over: Partial<App> = {}): App => ({
  id: 'APP',
  name: 'shop',
  config: {},
  annotations: {},
  syslog_url: '',
  shape: '',
  created_at: NOW,
  updated_at: NOW,
  ...over,
})

export const makeFn = (over: Partial<Fn> = {}): Fn => ({
  ...FN_SETTINGS,
  id: 'FN',
  name: 'cart',
  app_id: 'APP',
  image: 'shop/cart',
  memory: 128,
  timeout: 30,
  idle_timeout: 30,
  config: {},
  annotations: {},
  shape: '',
  created_at: NOW,
  updated_at: NOW,
  ...over,
})

export const makeDefinition = (over: Partial<Fn> = {}): Definition => define(makeApp(), makeFn(over))
