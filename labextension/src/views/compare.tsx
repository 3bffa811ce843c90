import * as React from 'react';

import { dateAndTime, duration } from '../format';
import { ISource } from '../source';
import { DispatchRow, ElectronList, ElectronRow, Preview } from '../types';
import { useActions, useSurroundings, useTrans } from './context';
import { Section } from './details';
import { diff } from './diff';
import { nameOf, spent } from './figures';
import { dispatchState, Trans } from '../states';
import { useAnswer } from './hooks';
import { Empty, IdButton, Sign } from './parts';
import { Unanswered } from './pending';
import { Manifest } from './sources';

/** Electrons of each dispatch whose durations are compared. */
const ELECTRONS = 5000;
/** Dispatches that are put side by side. */
export const MOST_COMPARED = 12;

interface ResultPart {
  name: string;
  path: string;
  preview: Preview | null;
}

interface Side {
  row: DispatchRow;
  manifest: Manifest | null;
  electrons: ElectronRow[];
  results: ResultPart[];
}

/** Dispatches side by side: inputs, results, durations, code, versions; only what differs, unless all is asked for. */
export function Compare({ dispatches }: { dispatches: readonly string[] }): JSX.Element {
  const trans = useTrans();
  const { source } = useSurroundings();
  const [all, setAll] = React.useState(false);
  const { data, problem, again } = useAnswer<Side[]>(
    () => Promise.all(dispatches.slice(0, MOST_COMPARED).map(id => load(source, id))),
    [dispatches.join()]
  );
  if (!data) {
    return (
      <div className="jp-CovalentView cv-page">
        <Unanswered problem={problem} again={again}>
          {trans.__('Loading %1 dispatches…', dispatches.length)}
        </Unanswered>
      </div>
    );
  }
  const rows = sections(data, trans);
  const shown = rows.map(section => ({ ...section, rows: section.rows.filter(row => all || differ(row.cells)) }));
  const nothing = shown.every(section => section.rows.length === 0);
  return (
    <div className="jp-CovalentView cv-page cv-compare">
      <div className="cv-toolbar">
        <h1>{trans.__('Comparison of %1 dispatches', data.length)}</h1>
        <span className="cv-space" />
        <label>
          <input type="checkbox" checked={all} onChange={event => setAll(event.target.checked)} />{' '}
          {trans.__('also what is the same')}
        </label>
      </div>
      <div className="cv-scroll">
        <table className="cv-sideBySide">
          <thead>
            <tr>
              <td />
              {data.map(({ row }) => (
                <HeadCell key={row.dispatch_id} row={row} />
              ))}
            </tr>
          </thead>
          {shown.map(
            section =>
              section.rows.length > 0 && (
                <tbody key={section.title}>
                  <tr>
                    <th colSpan={data.length + 1} scope="rowgroup" className="cv-groupHead">
                      {section.title}
                    </th>
                  </tr>
                  {section.rows.map((row, i) => (
                    <tr key={i} className={differ(row.cells) ? '' : 'cv-mute'}>
                      <th scope="row">{row.name}</th>
                      {row.cells.map((cell, j) => (
                        <td key={j} className="cv-mono" title={cell}>
                          {cell || '–'}
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              )
          )}
        </table>
        {nothing && <Empty>{trans.__('Inputs, results, durations and versions are the same.')}</Empty>}
        <CodeDifferences sides={data} all={all} />
      </div>
    </div>
  );
}

function HeadCell({ row }: { row: DispatchRow }): JSX.Element {
  const trans = useTrans();
  const { open } = useActions();
  return (
    <th scope="col">
      <Sign state={dispatchState(row, trans)} />{' '}
      <button className="cv-link" onClick={() => open?.(row.dispatch_id)}>
        {nameOf(row)}
      </button>{' '}
      <IdButton id={row.dispatch_id} />
      <div className="cv-mute cv-plain">{dateAndTime(row.started ?? row.created)}</div>
    </th>
  );
}

interface TableRow {
  name: string;
  cells: string[];
}

function sections(sides: Side[], trans: Trans): { title: string; rows: TableRow[] }[] {
  const rows = (names: Iterable<string>, cell: (side: Side, name: string) => string): TableRow[] =>
    [...new Set(names)].map(name => ({ name, cells: sides.map(side => cell(side, name)) }));
  const took = (side: Side) => (side.row.ended === null ? null : side.row.ended - (side.row.started ?? side.row.created));
  return [
    { title: trans.__('Inputs'), rows: rows(sides.flatMap(s => Object.keys(s.row.inputs)), (s, name) => s.row.inputs[name] ?? '') },
    {
      title: trans.__('Results'),
      rows: [
        { name: trans.__('state'), cells: sides.map(s => dispatchState(s.row, trans).word) },
        ...rows(
          sides.flatMap(s => s.results.map(labelOf)),
          (s, name) => s.results.find(part => labelOf(part) === name)?.preview?.repr ?? ''
        ),
        { name: trans.__('error'), cells: sides.map(s => s.row.error) }
      ].filter(row => row.cells.some(Boolean))
    },
    {
      title: trans.__('Durations'),
      rows: [
        { name: trans.__('whole'), cells: sides.map(s => duration(took(s))) },
        ...rows(sides.flatMap(s => s.electrons.map(e => e.name)), (s, name) => timesOf(s, name, trans))
      ]
    },
    {
      title: trans.__('Versions'),
      rows: [
        { name: 'Python', cells: sides.map(s => s.manifest?.environment?.python ?? s.row.environment.python ?? '') },
        { name: trans.__('environment'), cells: sides.map(s => s.manifest?.environment?.prefix ?? '') },
        ...rows(
          sides.flatMap(s => Object.keys(s.manifest?.environment?.packages ?? {})).sort(),
          (s, name) => s.manifest?.environment?.packages?.[name] ?? ''
        )
      ]
    }
  ];
}

function labelOf(part: ResultPart): string {
  return part.path ? `${part.path} (${part.name})` : part.name;
}

/** "0.8 s", of several "16 × 0.8 s". */
function timesOf(side: Side, name: string, trans: Trans): string {
  const own = side.electrons.filter(row => row.name === name);
  const ran = own.filter(row => row.duration !== null && !row.reused);
  if (own.length === 0) {
    return '';
  }
  if (ran.length === 0) {
    return own.some(row => row.reused) ? trans.__('reused') : '';
  }
  const mean = ran.reduce((sum, row) => sum + (spent(row, 0) ?? 0), 0) / ran.length;
  return own.length === 1 ? duration(mean) : `${own.length} × ${duration(mean)}`;
}

function differ(cells: readonly string[]): boolean {
  return cells.some(cell => cell !== cells[0]);
}

async function load(source: ISource, id: string): Promise<Side> {
  const base = `dispatches/${encodeURIComponent(id)}`;
  const [row, manifest, list, result] = await Promise.all([
    source.request<DispatchRow>(base),
    source.request<Manifest>(`${base}/manifest`).catch(() => null),
    source.request<ElectronList>(`${base}/electrons`, { limit: ELECTRONS }),
    source.request<{ parts: ResultPart[] }>(`${base}/result`).catch(() => ({ parts: [] }))
  ]);
  return { row, manifest, electrons: list.electrons, results: result.parts };
}

/** Each function whose source is not the same everywhere, against that of the first dispatch. */
function CodeDifferences({ sides, all }: { sides: Side[]; all: boolean }): JSX.Element {
  const trans = useTrans();
  const sources = sides.map(({ manifest }) => {
    const found = new Map<string, string>();
    manifest?.functions?.forEach(each => each.source && found.set(each.name, each.source.trimEnd()));
    if (manifest?.lattice.source) {
      found.set(trans.__('%1 (lattice)', manifest.lattice.name), manifest.lattice.source.trimEnd());
    }
    return found;
  });
  const names = [...new Set(sources.flatMap(each => [...each.keys()]))].sort();
  const differing = names.filter(name => differ(sources.map(each => each.get(name) ?? '')));
  if (differing.length === 0 && !all) {
    return (
      <Section level={2} title={trans.__('Code')}>
        <p className="cv-mute">{trans.__('The source is the same everywhere.')}</p>
      </Section>
    );
  }
  return (
    <Section level={2} title={trans.__('Code')}>
      {(all ? names : differing).map(name =>
        sources.slice(1).map((other, i) => {
          const [before, after] = [sources[0].get(name) ?? '', other.get(name) ?? ''];
          return before === after && !all ? null : (
            <figure key={`${name} ${i}`} className="cv-diff">
              <figcaption>
                <b>{name}</b>{' '}
                <span className="cv-mute">
                  {sides[0].row.dispatch_id.slice(0, 4)} → {sides[i + 1].row.dispatch_id.slice(0, 4)}
                </span>
              </figcaption>
              <pre className="cv-code" tabIndex={0}>
                {diff(before, after).map((line, n) => (
                  <div key={n} className={`cv-${line.kind}`}>
                    {{ same: '  ', removed: '− ', added: '+ ' }[line.kind]}
                    {line.text}
                  </div>
                ))}
              </pre>
            </figure>
          );
        })
      )}
    </Section>
  );
}
