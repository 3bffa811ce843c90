import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Trans } from '../states';
import { DispatchRow } from '../types';
import { useSurroundings, useTrans } from './context';
import { Pairs, Section } from './details';
import { useAnswer, useModel } from './hooks';
import { Pending } from './pending';
import { Environment, Manifest, useManifest } from './sources';

/** With what it ran: Python, packages, machines; and what differs from the dispatch that it repeats. */
export function Versions({ model }: { model: DispatchModel }): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const { source } = useSurroundings();
  const { data, problem, again } = useManifest(model);
  const rootId = model.row?.root_id ?? model.id;
  const foreign = data && !data.environment && rootId !== model.id;
  const root = useAnswer<Manifest | null>(
    async () => (foreign ? source.request<Manifest>(`dispatches/${rootId}/manifest`) : null),
    [foreign, rootId, data]
  );
  const before = useBefore(model.row);
  const [text, setText] = React.useState('');
  const environment = data?.environment ?? root.data?.environment ?? null;
  if (!environment) {
    return (
      <Pending model={model} problem={problem || root.problem} again={again}>
        {trans.__('Loading versions…')}
      </Pending>
    );
  }
  const packages = Object.entries(environment.packages ?? {}).sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  const shown = packages.filter(([name]) => name.toLowerCase().includes(text.trim().toLowerCase()));
  const changed = before ? differences(before.environment, environment) : [];
  const workers = workersOf(model);
  return (
    <div className="cv-versions">
      {changed.length > 0 && before && (
        <Section level={2} title={trans.__('Differs from %1', before.id.slice(0, 4))}>
          <Pairs pairs={changed.map(([name, was, is]) => [name, `${was || '–'} → ${is || '–'}`])} />
        </Section>
      )}
      <Section level={2} title={trans.__('Environment')}>
        <Pairs pairs={facts(environment, data!, trans)} />
      </Section>
      {workers.length > 0 && (
        <Section level={2} title={trans.__('Machines that ran it')}>
          <Pairs pairs={workers.map(([host, n]) => [host, trans._n('%1 electron', '%1 electrons', n)])} />
          {environment.host && workers.every(([host]) => host === environment.host) && (
            <p className="cv-mute">{trans.__('The same machine and environment as the kernel’s.')}</p>
          )}
        </Section>
      )}
      <Section level={2} title={trans.__('Packages')}>
        <input
          type="search"
          className="cv-search"
          value={text}
          placeholder={trans.__('Filter %1 packages', packages.length)}
          aria-label={trans.__('Filter packages')}
          onChange={event => setText(event.target.value)}
        />
        <Pairs pairs={shown} />
      </Section>
    </div>
  );
}

function facts(environment: Environment, manifest: Manifest, trans: Trans): [string, string][] {
  const all: [string, string | undefined][] = [
    [trans.__('Python'), environment.python],
    [trans.__('Interpreter'), environment.interpreter],
    [trans.__('Environment'), environment.prefix],
    ['cloudpickle', environment.cloudpickle],
    [trans.__('Machine'), environment.host],
    [trans.__('Folder'), environment.cwd],
    [trans.__('Added to sys.path'), environment.sys_path?.join('\n')],
    [trans.__('Local modules'), Object.keys(environment.modules ?? {}).join('\n')],
    [trans.__('Seed'), manifest.seed === undefined ? '' : String(manifest.seed)],
    ...Object.entries(manifest.client ?? {})
  ];
  return all.filter((pair): pair is [string, string] => !!pair[1]);
}

/** The environment of the dispatch that this one repeats. */
function useBefore(row: DispatchRow | null): { id: string; environment: Environment } | null {
  const { source } = useSurroundings();
  const id = row?.redispatch_of ?? null;
  const { data } = useAnswer<Manifest | null>(
    async () => (id ? source.request<Manifest>(`dispatches/${id}/manifest`).catch(() => null) : null),
    [id]
  );
  return id && data?.environment ? { id, environment: data.environment } : null;
}

/** Name, before, now: of Python and packages, where they differ. */
export function differences(before: Environment, now: Environment): [string, string, string][] {
  const [was, is] = [versions(before), versions(now)];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter(name => was[name] !== is[name])
    .map(name => [name, was[name] ?? '', is[name] ?? '']);
}

function versions(environment: Environment): Record<string, string> {
  return { Python: environment.python, ...environment.packages };
}

function workersOf(model: DispatchModel): [string, number][] {
  const counts = new Map<string, number>();
  model.electrons.forEach(row => {
    if (row.worker) {
      const host = row.worker.replace(/:\d+$/, '');
      counts.set(host, (counts.get(host) ?? 0) + 1);
    }
  });
  return [...counts];
}
