import { CommandRegistry } from '@lumino/commands';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CommandIDs } from './commands';
import { clock, dateAndTime, elapsed, reason } from './format';
import { hasEnded, State, stateOf } from './states';
import { Counts, DispatchRow } from './types';

interface Props {
  row: DispatchRow;
  idLength: number;
  now: number;
  cancelling: boolean;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** One dispatch: sign, name, id; bar while it runs; one line of figures; a click opens the rest. */
export function Row(props: Props): JSX.Element {
  const { row, idLength, trans } = props;
  const [open, setOpen] = React.useState(false);
  const state = stateOf(row, trans);
  const name = row.label || row.name || row.lattice;
  return (
    <li className="jp-Covalent-row" data-dispatch={row.dispatch_id} data-status={row.status}>
      <div className="jp-Covalent-rowTop">
        <Sign state={state} />
        <button
          className="jp-Covalent-name"
          aria-expanded={open}
          title={name}
          onClick={() => setOpen(!open)}
        >
          {name}
        </button>
        <IdButton {...props} length={idLength} />
      </div>
      {!hasEnded(row) && <Bar counts={row.counts} trans={trans} />}
      <Figures {...props} />
      {open && <Detail row={row} trans={trans} />}
    </li>
  );
}

function Sign({ state }: { state: State }): JSX.Element {
  return (
    <span
      className={`jp-Covalent-sign jp-mod-${state.colour}`}
      role="img"
      aria-label={state.word}
      title={state.word}
    >
      {state.sign}
    </span>
  );
}

function CancelButton({ row, cancelling, commands, trans }: Props): JSX.Element | null {
  if (hasEnded(row)) {
    return null;
  }
  return (
    <button
      className="jp-Covalent-cancel"
      disabled={cancelling}
      onClick={() => void commands.execute(CommandIDs.cancel, { dispatch_id: row.dispatch_id })}
    >
      {cancelling ? trans.__('Cancelling') : trans.__('Cancel')}
    </button>
  );
}

function IdButton({ row, length, commands, trans }: Props & { length: number }): JSX.Element {
  const [copied, setCopied] = React.useState(false);
  const copy = async () => {
    await commands.execute(CommandIDs.copyId, { dispatch_id: row.dispatch_id });
    setCopied(true);
  };
  return (
    <button
      className="jp-Covalent-id"
      title={copied ? trans.__('Copied: %1', row.dispatch_id) : trans.__('Copy %1', row.dispatch_id)}
      onClick={() => void copy()}
      onBlur={() => setCopied(false)}
      onMouseLeave={() => setCopied(false)}
    >
      {row.dispatch_id.slice(0, length)}
      {copied && <span className="jp-Covalent-copied">{trans.__('copied')}</span>}
    </button>
  );
}

/** Segments completed, running, failed; the rest is empty. */
function Bar({ counts, trans }: { counts: Counts; trans: TranslationBundle }): JSX.Element {
  const total = counts.total || 1;
  const completed = counts.completed ?? 0;
  const failed = (counts.failed ?? 0) + (counts.cancelled ?? 0);
  const width = (n: number) => ({ width: `${(100 * n) / total}%` });
  return (
    <div
      className="jp-Covalent-bar"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={completed}
      aria-label={trans.__('%1 of %2 electrons completed', completed, total)}
    >
      <i className="jp-mod-completed" style={width(completed)} />
      <i className="jp-mod-running" style={width(counts.running ?? 0)} />
      <i className="jp-mod-failed" style={width(failed)} />
    </div>
  );
}

function Figures(props: Props): JSX.Element {
  const { row, now, trans } = props;
  const { counts } = row;
  const began = row.started ?? row.created;
  const ended = hasEnded(row);
  const spent = elapsed((row.ended ?? now) - began);
  const absolute = trans.__('Started %1', dateAndTime(began));
  return (
    <div className="jp-Covalent-figures">
      <span className={row.status === 'FAILED' ? 'jp-mod-failed jp-Covalent-reason' : ''} title={row.error}>
        {summary(row, trans)}
      </span>
      {row.status !== 'CANCELLED' && row.status !== 'FAILED' && (
        <span className="jp-Covalent-number" title={absolute}>
          {spent}
        </span>
      )}
      {!ended && (counts.failed ?? 0) > 0 && (
        <span className="jp-mod-failed">{trans.__('%1 failed', counts.failed)}</span>
      )}
      {ended && row.status === 'COMPLETED' && (counts.failed ?? 0) > 0 && (
        <span className="jp-mod-failed">{trans.__('with %1 failed', counts.failed)}</span>
      )}
      {ended && (
        <span className="jp-Covalent-number" title={absolute}>
          {clock(row.ended ?? began)}
        </span>
      )}
      {row.tags.map(tag => (
        <span key={tag}>#{tag}</span>
      ))}
      <CancelButton {...props} />
    </div>
  );
}

function summary(row: DispatchRow, trans: TranslationBundle): string {
  const total = row.counts.total ?? 0;
  const completed = row.counts.completed ?? 0;
  switch (row.status) {
    case 'COMPLETED':
      return row.counts.reused
        ? trans.__('%1, %2 reused', total, row.counts.reused)
        : trans._n('%1 electron', '%1 electrons', total);
    case 'FAILED':
      return reason(row.error) || trans.__('failed');
    case 'CANCELLED':
      return trans.__('cancelled after %1', completed);
    default:
      return trans.__('%1 of %2', completed, total);
  }
}

/** What the row has no room for. User text is text here, never markup. */
function Detail({ row, trans }: { row: DispatchRow; trans: TranslationBundle }): JSX.Element {
  const inputs = Object.entries(row.inputs);
  return (
    <div className="jp-Covalent-detail">
      {row.error && <pre className="jp-mod-failed">{row.error}</pre>}
      {inputs.length > 0 && (
        <table>
          <tbody>
            {inputs.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td title={value}>{value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <dl>
        <dt>{trans.__('Id')}</dt>
        <dd className="jp-Covalent-code">{row.dispatch_id}</dd>
        <dt>{trans.__('Started')}</dt>
        <dd>{dateAndTime(row.started ?? row.created)}</dd>
        {row.ended !== null && <dt>{trans.__('Ended')}</dt>}
        {row.ended !== null && <dd>{dateAndTime(row.ended)}</dd>}
        {row.notebook && <dt>{trans.__('Notebook')}</dt>}
        {row.notebook && <dd title={row.notebook}>{row.notebook.split('/').pop()}</dd>}
        {row.environment.python && <dt>{trans.__('Python')}</dt>}
        {row.environment.python && (
          <dd title={row.environment.prefix}>{row.environment.python}</dd>
        )}
      </dl>
    </div>
  );
}
