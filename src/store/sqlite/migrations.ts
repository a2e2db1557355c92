import type { SQLInputValue } from 'node:sqlite'
import { SluiceError } from '../../core/errors.ts'
import { pathsOf } from '../sql/paths.ts'
import type { Outcome } from './questions.ts'

const counted = (table: string): string =>
  ['insert', 'update', 'delete']
    .map(
      (verb) => `create trigger ${table}_${verb} after ${verb} on ${table}
        begin update changes set count = count + 1; end;`,
    )
    .join('\n')

/**
 * Number n takes a file from format n to n + 1. Append only: what was released is never edited,
 * `counted` included.
 */
const MIGRATIONS: readonly ((db: Statements) => Promise<unknown>)[] = [
  (db) => db.script(FIRST),
  keyTriggers,
  (db) => db.script(BUNDLES_IN_PARTS),
]

/** What a migration works with. */
export interface Statements {
  script(sql: string): Promise<void>
  rows(sql: string, parameters?: readonly SQLInputValue[]): Promise<Outcome['rows']>
}

export const FIRST: string = `create table apps (
    id text primary key,
    name text not null unique,
    doc text not null
  ) strict;

  create table bundles (
    digest text primary key,
    put_at integer not null,
    tar blob not null
  ) strict;

  create table fns (
    id text primary key,
    app_id text not null references apps on delete cascade,
    name text not null,
    bundle text references bundles,
    doc text not null,
    unique (app_id, name)
  ) strict;
  create index fns_bundle on fns (bundle);

  create table triggers (
    id text primary key,
    app_id text not null references apps on delete cascade,
    fn_id text not null references fns on delete cascade,
    name text not null,
    type text not null,
    source text not null,
    doc text not null,
    unique (app_id, type, source),
    unique (fn_id, name)
  ) strict;
  create index triggers_name on triggers (app_id, name, id);

  create table changes (count integer not null) strict;
  insert into changes values (0);
  ${counted('apps')} ${counted('fns')} ${counted('triggers')}`

/** What is unique is so by a key: also sources that take the same paths, and the app of a trigger and its function. */
async function keyTriggers(db: Statements): Promise<void> {
  await db.script(`create unique index fns_of_app on fns (id, app_id);
  create table triggers_2 (
    id text primary key,
    app_id text not null references apps on delete cascade,
    fn_id text not null,
    name text not null,
    type text not null,
    source text not null,
    paths text not null,
    doc text not null,
    foreign key (fn_id, app_id) references fns (id, app_id) on delete cascade,
    unique (app_id, type, paths),
    unique (fn_id, name)
  ) strict`)
  const move = `insert into triggers_2
    select id, app_id, fn_id, name, type, source, ?, doc from triggers where id = ?`
  for (const { id, source } of await db.rows('select id, source from triggers'))
    await db.rows(move, [pathsOf(String(source)), String(id)])
  await db.script(`drop table triggers;
  alter table triggers_2 rename to triggers;
  create index triggers_name on triggers (app_id, name, id);
  ${counted('triggers')}`)
}

/** A bundle is kept in parts, so that no statement moves more than one of them. */
const BUNDLES_IN_PARTS = `create table bundle_parts (
    upload text not null,
    part integer not null,
    at integer not null,
    bytes blob not null,
    primary key (upload, part)
  ) strict;
  insert into bundle_parts
    with recursive parts (digest, part) as (
      select digest, 0 from bundles
      union all
      select digest, part + 1 from parts join bundles using (digest) where (part + 1) * 8388608 < length(tar)
    )
    select digest, part, put_at, coalesce(substr(tar, part * 8388608 + 1, 8388608), x'')
    from parts join bundles using (digest);
  alter table bundles add column size integer not null default 0;
  alter table bundles add column upload text not null default '';
  update bundles set size = length(tar), upload = digest;
  alter table bundles drop column tar`

/**
 * Brings the database to the format of this code: all of it or nothing. A file that is up to date is not locked.
 * @throws SluiceError `store-unavailable` when the file is newer than the code
 */
export async function migrate(db: Statements): Promise<void> {
  if ((await formatOf(db)) === MIGRATIONS.length) return
  await db.rows('begin exclusive')
  try {
    const format = await formatOf(db)
    if (format > MIGRATIONS.length)
      throw new SluiceError(
        'store-unavailable',
        `it has format ${format}, this Sluice knows up to ${MIGRATIONS.length}: use a newer Sluice`,
      )
    for (const step of MIGRATIONS.slice(format)) await step(db)
    await db.script(`pragma user_version = ${MIGRATIONS.length}`)
    await db.rows('commit')
  } catch (error) {
    await db.rows('rollback')
    throw error
  }
}

const formatOf = async (db: Statements): Promise<number> =>
  Number((await db.rows('pragma user_version'))[0]?.['user_version'])
