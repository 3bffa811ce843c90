import * as React from 'react';

import { dateAndTime, duration, moment } from '../format';
import { Status } from '../types';
import { useActions, useSurroundings, useTrans } from './context';
import { range, short } from './curves';
import { stateFor, Trans } from '../states';
import { useAnswer, useSize } from './hooks';
import { Button, Empty, IdButton, Sign } from './parts';
import { tickStep } from './lanes';
import { Unanswered } from './pending';
import { VirtualList } from './virtual';

type Scalar = string | number | boolean | null;

export interface Run {
  dispatch_id: string;
  name: string;
  label: string;
  status: Status;
  started: number | null;
  created: number;
  duration: number | null;
  error: string;
  tags: string[];
  inputs: Record<string, Scalar>;
  results: Record<string, Scalar>;
}

interface RunPage {
  lattice: string;
  inputs: string[];
  results: string[];
  runs: Run[];
  total: number;
}

/** Runs that are shown: the newest. */
const MOST = 2000;
const ROW = 24;

interface Props {
  lattice: string;
  /** Of this sweep alone. */
  sweep?: string;
}

/** All runs of a lattice, or those of a sweep: a table, and one column plotted against another. */
export function Runs({ lattice, sweep = '' }: Props): JSX.Element {
  const trans = useTrans();
  const { source } = useSurroundings();
  const { compare } = useActions();
  const { data, problem, again } = useAnswer<RunPage>(
    () => source.request<RunPage>('runs', { lattice, limit: MOST, ...(sweep ? { parent: sweep } : {}) }),
    [lattice, sweep]
  );
  const [picked, setPicked] = React.useState<ReadonlySet<string>>(new Set());
  const [sorting, setSorting] = React.useState({ column: 'started', descending: true });
  const [axes, setAxes] = React.useState<{ x?: string; y?: string }>({});
  const columns = React.useMemo(() => (data ? columnsOf(data, trans) : []), [data]);
  const runs = React.useMemo(() => sortedRuns(data?.runs ?? [], columns, sorting), [data, columns, sorting]);
  if (!data) {
    return (
      <div className="jp-CovalentView cv-page">
        <Unanswered problem={problem} again={again}>
          {trans.__('Loading the runs of %1…', lattice)}
        </Unanswered>
      </div>
    );
  }
  const numeric = columns.filter(column => data.runs.some(run => typeof column.value(run) === 'number'));
  const x = axes.x ?? numeric.find(column => column.id.startsWith('input '))?.id ?? 'started';
  const y = axes.y ?? (numeric.find(column => column.id.startsWith('result ')) ?? numeric.find(column => column.id === 'duration'))?.id ?? 'started';
  const toggle = (id: string) => {
    const next = new Set(picked);
    if (!next.delete(id)) {
      next.add(id);
    }
    setPicked(next);
  };
  const choice = (label: string, value: string, onChange: (id: string) => void) => (
    <label>
      {label}{' '}
      <select value={value} onChange={event => onChange(event.target.value)}>
        {numeric.map(column => (
          <option key={column.id} value={column.id}>
            {column.label}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div className="jp-CovalentView cv-page cv-runs">
      <div className="cv-toolbar">
        <h1>{sweep ? trans.__('Sweep of %1', lattice) : trans.__('Runs of %1', lattice)}</h1>
        <span className="cv-mute">
          {data.total > data.runs.length
            ? trans.__('the newest %1 of %2 runs', data.runs.length, data.total)
            : trans._n('%1 run', '%1 runs', data.total)}
        </span>
        {problem && (
          <span className="cv-failed" role="status">
            {problem}
          </span>
        )}
        <span className="cv-space" />
        {numeric.length > 0 && choice(trans.__('Plot'), y, id => setAxes({ ...axes, y: id }))}
        {numeric.length > 0 && choice(trans.__('against'), x, id => setAxes({ ...axes, x: id }))}
        <Button onClick={again}>{trans.__('Refresh')}</Button>
        {compare && (
          <Button disabled={picked.size < 2} onClick={() => compare([...picked])} title={trans.__('Tick two or more runs')}>
            {trans.__('Compare %1', picked.size || '')}
          </Button>
        )}
      </div>
      {numeric.length > 0 && <Plot runs={data.runs} columns={columns} x={x} y={y} picked={picked} onPick={toggle} />}
      <RunTable
        runs={runs}
        columns={columns}
        sorting={sorting}
        onSort={setSorting}
        picked={picked}
        onPick={toggle}
      />
    </div>
  );
}

interface Column {
  id: string;
  label: string;
  value: (run: Run) => Scalar | undefined;
  text: (run: Run) => string;
  /** What pointing at it tells, where that is more than its text. */
  title?: (run: Run) => string;
}

/** Whether a column holds numbers alone, which stand at the right, below one another. */
function isNumeric(column: Column, runs: readonly Run[]): boolean {
  const values = runs.map(run => column.value(run)).filter(value => value !== undefined && value !== null);
  return column.id !== 'started' && values.length > 0 && values.every(value => typeof value === 'number');
}

function columnsOf(data: RunPage, trans: Trans): Column[] {
  const scalar = (kind: 'input' | 'result', name: string, label = name): Column => {
    const value = (run: Run) => run[`${kind}s`][name];
    return { id: `${kind} ${name}`, label, value, text: run => told(value(run)) };
  };
  const columns: Column[] = [
    {
      id: 'started',
      label: trans.__('Started'),
      value: run => run.started ?? run.created,
      text: run => moment(run.started ?? run.created, Date.now() / 1000, { seconds: true }),
      title: run => dateAndTime(run.started ?? run.created)
    },
    { id: 'duration', label: trans.__('Duration'), value: run => run.duration, text: run => duration(run.duration) },
    ...data.inputs.map(name => scalar('input', name)),
    ...data.results.map(name => scalar('result', name, data.inputs.includes(name) ? trans.__('%1 (result)', name) : name)),
    { id: 'error', label: trans.__('Error'), value: run => run.error || undefined, text: run => run.error.split('\n')[0] }
  ];
  return columns.filter(column => column.id !== 'error' || data.runs.some(run => run.error));
}

function told(value: Scalar | undefined): string {
  return value === undefined || value === null ? '' : typeof value === 'number' ? short(value) : String(value);
}

function sortedRuns(runs: readonly Run[], columns: Column[], { column, descending }: { column: string; descending: boolean }): Run[] {
  const by = columns.find(each => each.id === column);
  const sign = descending ? -1 : 1;
  const rank = (value: Scalar | undefined) => (value === undefined || value === null ? 2 : typeof value === 'number' ? 0 : 1);
  return [...runs].sort((a, b) => {
    const [u, v] = [by?.value(a), by?.value(b)];
    if (rank(u) !== rank(v) || rank(u) === 2) {
      return rank(u) - rank(v);
    }
    return rank(u) === 0 ? sign * ((u as number) - (v as number)) : sign * (String(u) < String(v) ? -1 : Number(u !== v));
  });
}

interface TableProps {
  runs: Run[];
  columns: Column[];
  sorting: { column: string; descending: boolean };
  onSort: (sorting: { column: string; descending: boolean }) => void;
  picked: ReadonlySet<string>;
  onPick: (id: string) => void;
}

function RunTable({ runs, columns, sorting, onSort, picked, onPick }: TableProps): JSX.Element {
  const trans = useTrans();
  const { open } = useActions();
  const numeric = React.useMemo(
    () => new Set(columns.filter(column => isNumeric(column, runs)).map(({ id }) => id)),
    [columns, runs]
  );
  const tracks = `26px minmax(150px, 1.2fr) ${columns
    .map(({ id }) => (id === 'started' ? '132px' : id === 'duration' ? '76px' : id === 'error' ? 'minmax(140px, 3fr)' : 'minmax(76px, 1fr)'))
    .join(' ')}`;
  const header = (
    <div className="cv-row cv-headRow" role="row" style={{ gridTemplateColumns: tracks }}>
      <span role="columnheader">
        <span className="cv-hidden">{trans.__('Picked')}</span>
      </span>
      <span role="columnheader" className="cv-cell">
        {trans.__('Run')}
      </span>
      {columns.map(column => {
        const mine = sorting.column === column.id;
        return (
          <span
            key={column.id}
            role="columnheader"
            className={`cv-cell ${numeric.has(column.id) ? 'cv-number' : ''}`}
            aria-sort={mine ? (sorting.descending ? 'descending' : 'ascending') : 'none'}
          >
            <button onClick={() => onSort({ column: column.id, descending: mine && !sorting.descending })}>
              {column.label}
              {mine && <span aria-hidden="true">{sorting.descending ? ' ↓' : ' ↑'}</span>}
            </button>
          </span>
        );
      })}
    </div>
  );
  return (
    <VirtualList
      className="cv-table"
      count={runs.length}
      rowHeight={ROW}
      header={runs.length > 0 ? header : <Empty>{trans.__('This lattice has no runs.')}</Empty>}
      attributes={{ role: 'grid', 'aria-label': trans.__('Runs'), tabIndex: 0 }}
      renderRow={index => {
        const run = runs[index];
        return (
          <div
            key={run.dispatch_id}
            role="row"
            className={`cv-row ${picked.has(run.dispatch_id) ? 'cv-chosen' : ''}`}
            style={{ gridTemplateColumns: tracks }}
            data-run={run.dispatch_id}
          >
            <span role="gridcell">
              <input
                type="checkbox"
                aria-label={trans.__('Pick %1', run.dispatch_id.slice(0, 4))}
                checked={picked.has(run.dispatch_id)}
                onChange={() => onPick(run.dispatch_id)}
              />
            </span>
            <span className="cv-cell" role="gridcell">
              <Sign state={stateFor(run.status, false, trans)} />{' '}
              <button className="cv-link" onClick={() => open?.(run.dispatch_id)}>
                {run.label || run.name}
              </button>{' '}
              <IdButton id={run.dispatch_id} />
            </span>
            {columns.map(column => (
              <span
                key={column.id}
                role="gridcell"
                className={`cv-cell ${column.id === 'error' ? 'cv-failed' : numeric.has(column.id) ? 'cv-number' : 'cv-figure'}`}
                title={(column.title ?? column.text)(run)}
              >
                {column.text(run)}
              </span>
            ))}
          </div>
        );
      }}
    />
  );
}

const HEIGHT = 220;
const LEFT = 64;
const TOP = 24;
const BOTTOM = 40;

interface PlotProps {
  runs: readonly Run[];
  columns: readonly Column[];
  x: string;
  y: string;
  picked: ReadonlySet<string>;
  onPick: (id: string) => void;
}

/** A point per run. */
function Plot({ runs, columns, x, y, picked, onPick }: PlotProps): JSX.Element {
  const trans = useTrans();
  const box = React.useRef<HTMLElement>(null);
  const { width } = useSize(box);
  const [across, up] = [columns.find(c => c.id === x), columns.find(c => c.id === y)];
  const points = runs.flatMap(run => {
    const [u, v] = [across?.value(run), up?.value(run)];
    return typeof u === 'number' && typeof v === 'number' ? [{ run, u, v }] : [];
  });
  const [left, right] = padded(range(points.map(({ u }) => u)), x);
  const [low, high] = padded(range(points.map(({ v }) => v)), y);
  const px = (u: number) => LEFT + ((u - left) / (right - left)) * Math.max(1, width - LEFT - 12);
  const py = (v: number) => HEIGHT - BOTTOM - ((v - low) / (high - low)) * (HEIGHT - BOTTOM - TOP);
  const label = (id: string, value: number) =>
    id === 'started' ? timeMark(value, right - left) : short(value);
  return (
    <figure className="cv-plot" ref={box}>
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={trans.__('%1 against %2, %3 runs', up?.label ?? '', across?.label ?? '', points.length)}
      >
        {ticks(low, high, 4).map(v => (
          <g key={v}>
            <line className="cv-grid" x1={LEFT} x2={Math.max(LEFT, width - 8)} y1={py(v)} y2={py(v)} />
            <text x={LEFT - 8} y={py(v) + 4} textAnchor="end">
              {label(y, v)}
            </text>
          </g>
        ))}
        {ticks(left, right, Math.max(2, Math.min(7, Math.floor(width / 90)))).map(u => (
          <text key={u} x={px(u)} y={HEIGHT - 22} textAnchor="middle">
            {label(x, u)}
          </text>
        ))}
        <text className="cv-axis" x={0} y={12}>
          {up?.label}
        </text>
        <text className="cv-axis" x={width - 8} y={HEIGHT - 5} textAnchor="end">
          {across?.label}
        </text>
        {points.map(({ run, u, v }) => (
          <circle
            key={run.dispatch_id}
            cx={px(u)}
            cy={py(v)}
            r={picked.has(run.dispatch_id) ? 6 : 4}
            className={`cv-point cv-${stateFor(run.status, false, trans).colour} ${picked.has(run.dispatch_id) ? 'cv-picked' : ''}`}
            onClick={() => onPick(run.dispatch_id)}
          >
            <title>{`${run.dispatch_id.slice(0, 4)}: ${across?.label} ${short(u)}, ${up?.label} ${short(v)}`}</title>
          </circle>
        ))}
      </svg>
      {points.length === 0 && <Empty>{trans.__('No run has both numbers.')}</Empty>}
    </figure>
  );
}

/** A moment on a scale of so many seconds. */
function timeMark(seconds: number, length: number): string {
  const date = new Date(seconds * 1000);
  return length < 2 * 86400
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', ...(length < 600 ? { second: '2-digit' } : {}) })
    : date.toLocaleDateString();
}

/** Some room beside the outermost points; about a single one, as much as its size says, or a minute. */
function padded([low, high]: [number, number], column: string): [number, number] {
  const room = (high - low) * 0.06 || (column === 'started' ? 60 : Math.abs(low) * 0.1) || 1;
  return [low - room, high + room];
}

function ticks(low: number, high: number, count: number): number[] {
  const step = plain(high - low, count);
  const found: number[] = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
    found.push(Number(at.toPrecision(12)));
  }
  return found;
}

/** A round step, also for what is no time. */
function plain(length: number, count: number): number {
  return length <= 30 * count ? tickStep(length, count) : 10 * plain(length / 10, count);
}
