import type { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../../core/errors.ts'
import { pathsOf } from '../sql/paths.ts'

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
export const MIGRATIONS: readonly string[] = [
  `create table apps (
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
  ${counted('apps')} ${counted('fns')} ${counted('triggers')}`,

  // What is unique is so by a key: also sources that take the same paths, and the app of a trigger and its function.
  `create unique index fns_of_app on fns (id, app_id);
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
  ) strict;
  insert into triggers_2 select id, app_id, fn_id, name, type, source, paths_of(source), doc from triggers;
  drop table triggers;
  alter table triggers_2 rename to triggers;
  create index triggers_name on triggers (app_id, name, id);
  ${counted('triggers')}`,

  // A bundle is kept in parts, so that no statement moves more than one of them.
  `create table bundle_parts (
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
    select digest, part, put_at, coalesce(substr(tar, part * 8388608 + 1, 8388608), x'') from parts join bundles using (digest);
  alter table bundles add column size integer not null default 0;
  alter table bundles add column upload text not null default '';
  update bundles set size = length(tar), upload = digest;
  alter table bundles drop column tar`,
]

/**
 * Brings the database to the format of this code: all of it or nothing. A file that is up to date is not locked.
 * @throws SluiceError `store-unavailable` when the file is newer than the code
 */
export function migrate(db: DatabaseSync): void {
  if (formatOf(db) === MIGRATIONS.length) return
  db.function('paths_of', (source) => pathsOf(String(source)))
  db.exec('begin exclusive')
  try {
    const format = formatOf(db)
    if (format > MIGRATIONS.length)
      throw new SluiceError(
        'store-unavailable',
        `the store has format ${format}, this Sluice knows up to ${MIGRATIONS.length}: use a newer Sluice`,
      )
    for (const step of MIGRATIONS.slice(format)) db.exec(step)
    db.exec(`pragma user_version = ${MIGRATIONS.length}`)
    db.exec('commit')
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

const formatOf = (db: DatabaseSync): number =>
  (db.prepare('pragma user_version').get() as { user_version: number }).user_version
