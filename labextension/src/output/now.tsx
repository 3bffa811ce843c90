import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { duration, elapsed, firstLine } from '../format';
import { ElectronRow } from '../types';
import { useActions, useTrans } from '../views/context';
import { spent } from '../views/figures';
import { electronState, isEnded, Trans } from '../states';
import { useClock, useModel } from '../views/hooks';
import { Empty, Sign } from '../views/parts';

/** Rows of each kind: what is going on is told at a glance, the rest by the tables. */
const RUNNING = 8;
const FAILED = 4;

/** What runs, with its own progress, and what has failed. */
export function NowView({ model, onMore }: { model: DispatchModel; onMore: (tab: string) => void }): JSX.Element {
  useModel(model);
  React.useEffect(() => model.want('telling', 'graph'), [model]);
  const trans = useTrans();
  const { row } = model;
  const ended = !row || isEnded(row.status);
  const now = useClock(() => model.now(), !ended);
  const rows = React.useMemo(() => telling(model), [model, model.revision]);
  const counts = row?.counts ?? {};
  const more = {
    running: (counts.running ?? 0) - rows.running.length,
    failed: (counts.failed ?? 0) - rows.failed.length
  };
  if (rows.running.length + rows.failed.length === 0) {
    return <Empty>{idle(model, trans)}</Empty>;
  }
  return (
    <div className="cv-now" role="list">
      {[...rows.running, ...rows.failed].map(electron => (
        <NowRow key={electron.node} row={electron} inputs={model.inputsOf(electron.node)} now={now} />
      ))}
      {more.running > 0 && (
        <button className="cv-quiet cv-more" onClick={() => onMore('electrons')}>
          {trans.__('%1 more run', more.running)}
        </button>
      )}
      {more.failed > 0 && (
        <button className="cv-quiet cv-more" onClick={() => onMore('errors')}>
          {trans.__('%1 more failed', more.failed)}
        </button>
      )}
    </div>
  );
}

/** The longest running first, as they stay where they are then; and the first that failed. */
function telling(model: DispatchModel): { running: ElectronRow[]; failed: ElectronRow[] } {
  const running: ElectronRow[] = [];
  const failed: ElectronRow[] = [];
  model.electrons.forEach(row => {
    if (row.status === 'RUNNING') {
      running.push(row);
    } else if (row.status === 'FAILED') {
      failed.push(row);
    }
  });
  running.sort((a, b) => (a.started ?? 0) - (b.started ?? 0) || a.node - b.node);
  failed.sort((a, b) => a.node - b.node);
  return { running: running.slice(0, RUNNING), failed: failed.slice(0, FAILED) };
}

function idle(model: DispatchModel, trans: Trans): string {
  const { row } = model;
  if (!row) {
    return trans.__('Looking…');
  }
  switch (row.status) {
    case 'COMPLETED':
      return trans.__('All electrons have completed.');
    case 'CANCELLED':
      return trans.__('It was cancelled; %1 electrons had completed.', row.counts.completed ?? 0);
    case 'FAILED':
      return firstLine(row.error) || trans.__('It failed.');
    case 'RUNNING':
      return (row.counts.queued ?? 0) > 0
        ? trans.__('%1 electrons are with their executors, and begin as soon as there is a place.', row.counts.queued)
        : trans.__('Nothing runs at this moment.');
    default:
      return trans.__('It begins as soon as there is a place.');
  }
}

function NowRow({ row, inputs, now }: { row: ElectronRow; inputs: string; now: number }): JSX.Element {
  const trans = useTrans();
  const { open } = useActions();
  const seconds = spent(row, now);
  return (
    <div className="cv-nowRow" role="listitem" data-node={row.node} data-status={row.status}>
      <Sign state={electronState(row, trans)} />
      {open ? (
        <button className="cv-nowName" title={row.name} onClick={() => open(row.dispatch_id, row.node)}>
          <Name row={row} />
        </button>
      ) : (
        <span className="cv-nowName" title={row.name}>
          <Name row={row} />
        </span>
      )}
      <span className="cv-mono cv-mute cv-nowInputs" title={inputs}>
        {inputs}
      </span>
      <span className="cv-nowSaid">
        <Said row={row} />
      </span>
      <span className="cv-number">{isEnded(row.status) ? duration(seconds) : seconds === null ? '' : elapsed(seconds)}</span>
    </div>
  );
}

function Name({ row }: { row: ElectronRow }): JSX.Element {
  return (
    <>
      {row.name}
      {row.kind === 'sublattice' && <span className="cv-mark"> ▣</span>}
    </>
  );
}

/** Its error; its own progress; or where it runs. */
function Said({ row }: { row: ElectronRow }): JSX.Element {
  const trans = useTrans();
  if (row.error) {
    const text = `${row.error.type}: ${row.error.message}`;
    return (
      <span className="cv-failed" title={text}>
        {firstLine(text)}
      </span>
    );
  }
  const { done, total, text } = row.progress ?? {};
  if (typeof done === 'number') {
    const share = typeof total === 'number' && total > 0 ? Math.min(1, done / total) : null;
    const words = `${done}${share === null ? '' : ` / ${total as number}`}`;
    return (
      <span className="cv-own" title={words}>
        {share !== null && (
          <span
            className="cv-ownBar"
            role="progressbar"
            aria-valuemin={0}
            aria-valuemax={total as number}
            aria-valuenow={done}
            aria-label={trans.__('Progress of %1', row.name)}
          >
            <i style={{ width: `${100 * share}%` }} />
          </span>
        )}
        <span className="cv-number cv-mute">{words}</span>
        {typeof text === 'string' && <span className="cv-mute"> {text}</span>}
      </span>
    );
  }
  return <span className="cv-mute">{[row.executor, row.worker].filter(Boolean).join(' · ')}</span>;
}
