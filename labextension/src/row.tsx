import { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { clock, dateAndTime, lasted, moment, nameOf, reason, shownTags } from './format';
import { Telling } from './inputs';
import { dispatchState, hasEnded, State } from './states';
import { Counts, DispatchRow } from './types';

/** What a row can have done; none of it is done by the row. */
export interface RowActions {
  copyId(id: string): Promise<void>;
  cancel(id: string): void;
  toggle(id: string): void;
  rename(id: string, label: string): void;
  endRename(): void;
}

export interface RowProps {
  row: DispatchRow;
  level: number;
  /** 1 where the row belongs to a group that can be opened and closed. */
  within: 0 | 1;
  children: number;
  open: boolean;
  selected: boolean;
  active: boolean;
  renaming: boolean;
  cancelling: boolean;
  idLength: number;
  /** The inputs that tell it from the runs around it. */
  inputs: readonly Telling[];
  showTags: boolean;
  /** Whether no heading above it names its day. */
  dated: boolean;
  /** Seconds since the epoch at the beginning of the present day. */
  today: number;
  /** Seconds since the epoch; 0 for one that has ended, which needs no clock. */
  now: number;
  style: React.CSSProperties;
  actions: RowActions;
  trans: TranslationBundle;
}

/** One dispatch: sign, name, inputs, id; a bar while it runs; one line of figures. User text is text here, never markup. */
export const Row = React.memo(function Row(props: RowProps): JSX.Element {
  const { row, level, within, children, open, selected, active, renaming, style, actions, trans } = props;
  const state = dispatchState(row, trans);
  const name = nameOf(row);
  const id = row.dispatch_id;
  const tree = children > 0 ? { 'aria-expanded': open } : {};
  return (
    <div
      id={`jp-Covalent-row-${id}`}
      className={`jp-Covalent-row${selected ? ' jp-mod-selected' : ''}${active ? ' jp-mod-active' : ''}`}
      role="treeitem"
      aria-level={level + within}
      aria-selected={selected}
      aria-label={spoken(props, state)}
      {...tree}
      data-dispatch={id}
      data-status={row.status}
      style={{ ...style, paddingLeft: 12 + 16 * (level - 1) }}
    >
      <div className="jp-Covalent-rowTop">
        <Sign state={state} />
        {renaming ? (
          <NameInput name={name} trans={trans} onDone={label => actions.rename(id, label)} onCancel={actions.endRename} />
        ) : (
          <span className="jp-Covalent-name" title={told(row, trans)}>
            {name}
          </span>
        )}
        <Inputs inputs={props.inputs} />
        {children > 0 && <Toggle {...props} />}
        <IdButton {...props} />
      </div>
      {!hasEnded(row) && <Bar counts={row.counts} trans={trans} />}
      <Figures {...props} />
    </div>
  );
});

function Sign({ state }: { state: State }): JSX.Element {
  return (
    <span className={`jp-Covalent-sign jp-mod-${state.colour}`} role="img" aria-label={state.word} title={state.word}>
      {state.sign}
    </span>
  );
}

function Inputs({ inputs }: { inputs: RowProps['inputs'] }): JSX.Element {
  return (
    <span className="jp-Covalent-inputs" title={inputs.map(([name, value]) => `${name}=${value}`).join(', ')}>
      {inputs.map(([name, value, short]) => `${name}=${short ?? value}`).join(', ')}
    </span>
  );
}

/** Shows and hides the runs of sublattices. */
function Toggle({ row, open, children, actions, trans }: RowProps): JSX.Element {
  const words = trans._n('%1 sublattice', '%1 sublattices', children);
  const Icon = open ? caretDownIcon : caretRightIcon;
  return (
    <button
      className="jp-Covalent-toggle"
      tabIndex={-1}
      title={words}
      aria-label={words}
      onClick={event => {
        event.stopPropagation();
        actions.toggle(row.dispatch_id);
      }}
    >
      {children}
      <Icon.react tag="span" />
    </button>
  );
}

function IdButton({ row, idLength, actions, trans }: RowProps): JSX.Element {
  const [copied, setCopied] = React.useState(false);
  const copy = async (event: React.MouseEvent) => {
    event.stopPropagation();
    await actions.copyId(row.dispatch_id);
    setCopied(true);
  };
  return (
    <button
      className="jp-Covalent-id"
      tabIndex={-1}
      title={copied ? trans.__('Copied: %1', row.dispatch_id) : trans.__('Copy %1', row.dispatch_id)}
      onClick={event => void copy(event)}
      onMouseLeave={() => setCopied(false)}
    >
      {row.dispatch_id.slice(0, idLength)}
      {copied && <span className="jp-Covalent-copied">{trans.__('copied')}</span>}
    </button>
  );
}

/** How often the focus is taken back from what took it by itself: two that both insist would not end. */
const MOST_TAKEN = 20;

interface NameInputProps {
  name: string;
  trans: TranslationBundle;
  onDone: (name: string) => void;
  onCancel: () => void;
}

function NameInput({ name, trans, onDone, onCancel }: NameInputProps): JSX.Element {
  const [text, setText] = React.useState(name);
  const node = React.useRef<HTMLInputElement>(null);
  const over = React.useRef(false);
  /** Whether somebody wants to go on elsewhere. What takes the focus by itself, as a page that opens, ends no typing. */
  const leaving = React.useRef(false);
  const taken = React.useRef(0);
  // Before anything else can happen: the next key that is pressed is the first letter of the name.
  React.useLayoutEffect(() => {
    node.current!.focus();
    node.current!.select();
    const onPointerDown = (event: PointerEvent) => {
      leaving.current = event.target !== node.current;
    };
    document.addEventListener('pointerdown', onPointerDown, true);
    return () => document.removeEventListener('pointerdown', onPointerDown, true);
  }, []);
  const end = (action: () => void) => {
    if (!over.current) {
      over.current = true;
      action();
    }
  };
  const onBlur = (event: React.FocusEvent) => {
    taken.current += 1;
    const dialog = event.relatedTarget instanceof Element && event.relatedTarget.closest('.jp-Dialog') !== null;
    if (leaving.current || dialog || taken.current > MOST_TAKEN) {
      end(() => (text === name ? onCancel() : onDone(text)));
    } else {
      const back = () => !over.current && node.current?.focus();
      back(); // at once, so that no letter goes astray
      window.requestAnimationFrame(back); // where a browser does not let the focus be moved while it moves
    }
  };
  return (
    <input
      className="jp-Covalent-nameInput"
      aria-label={trans.__('Name of the dispatch')}
      value={text}
      maxLength={1000}
      ref={node}
      onChange={event => setText(event.target.value)}
      onClick={event => event.stopPropagation()}
      onBlur={onBlur}
      onKeyDown={event => {
        event.stopPropagation();
        leaving.current = event.key === 'Tab';
        if (event.key === 'Enter') {
          end(() => onDone(text));
        } else if (event.key === 'Escape') {
          end(onCancel);
        }
      }}
    />
  );
}

/** Of a segment of a bar, in px: few of very many are seen too. */
const LEAST = 3;

/** Segments completed, running, failed; the rest is empty. */
function Bar({ counts, trans }: { counts: Counts; trans: TranslationBundle }): JSX.Element {
  const total = counts.total || 1;
  const completed = counts.completed ?? 0;
  const failed = (counts.failed ?? 0) + (counts.cancelled ?? 0);
  const width = (n: number) => ({ width: `${(100 * n) / total}%`, minWidth: n > 0 ? LEAST : 0 });
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

function Figures(props: RowProps): JSX.Element {
  const { row, now, showTags, dated, today, trans } = props;
  const { counts, status } = row;
  const began = row.started ?? row.created;
  const ended = hasEnded(row);
  const absolute = trans.__('Started %1', dateAndTime(began));
  const failed = counts.failed ?? 0;
  return (
    <div className="jp-Covalent-figures">
      <span className={status === 'FAILED' ? 'jp-mod-failed jp-Covalent-reason' : 'jp-Covalent-summary'} title={row.error}>
        {summary(row, trans)}
      </span>
      {(status === 'COMPLETED' || !ended) && (
        <span className="jp-Covalent-number" title={absolute}>
          {lasted(row, now)}
        </span>
      )}
      {failed > 0 && status !== 'FAILED' && <span className="jp-mod-failed">{trans.__('%1 failed', failed)}</span>}
      {ended && (
        <span className="jp-Covalent-number" title={absolute}>
          {dated ? moment(row.ended ?? began, today) : clock(row.ended ?? began)}
        </span>
      )}
      {showTags && shownTags(row).length > 0 && (
        <span className="jp-Covalent-tags" title={tagsOf(row)}>
          {tagsOf(row)}
        </span>
      )}
      {!ended && <CancelButton {...props} />}
    </div>
  );
}

function tagsOf(row: DispatchRow): string {
  return shownTags(row)
    .map(tag => `#${tag}`)
    .join(' ');
}

function CancelButton({ row, cancelling, actions, trans }: RowProps): JSX.Element {
  return (
    <button
      className="jp-Covalent-cancel"
      tabIndex={-1}
      disabled={cancelling}
      onClick={event => {
        event.stopPropagation();
        actions.cancel(row.dispatch_id);
      }}
    >
      {cancelling ? trans.__('Cancelling') : trans.__('Cancel')}
    </button>
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

/** What a screen reader says of a row. Of one that runs no time: it would be said anew each second. */
function spoken({ row, inputs, children, dated, today, showTags, trans }: RowProps, state: State): string {
  const given = inputs.map(([name, value]) => `${name}=${value}`);
  const { reused, total, failed } = row.counts;
  const words = [nameOf(row), ...given, state.word];
  if (row.status === 'COMPLETED' && reused) {
    words.push(trans._n('%1 electron', '%1 electrons', total ?? 0), trans.__('%1 reused', reused));
  } else {
    words.push(summary(row, trans));
  }
  if (failed && row.status !== 'FAILED') {
    words.push(trans.__('%1 failed', failed));
  }
  if (hasEnded(row)) {
    const ended = row.ended ?? row.started ?? row.created;
    words.push(lasted(row, 0), dated ? moment(ended, today) : clock(ended));
  }
  if (children > 0) {
    words.push(trans._n('%1 sublattice', '%1 sublattices', children));
  }
  return [...words, ...(showTags ? shownTags(row) : [])].filter(word => word).join(', ');
}

/** What a row has no room for. */
function told(row: DispatchRow, trans: TranslationBundle): string {
  const inputs = Object.entries(row.inputs).map(([name, value]) => `${name} = ${value}`);
  const lines = [nameOf(row), ...inputs];
  if (row.notebook) {
    lines.push(trans.__('Notebook: %1', row.notebook));
  }
  (row.notices ?? []).slice(0, 5).forEach(notice => lines.push(trans.__('Notice: %1', notice)));
  if (row.note) {
    lines.push(trans.__('Note: %1', row.note));
  }
  return lines.join('\n');
}
