import * as React from 'react';

import { resultCell } from '../cells';
import { DispatchModel } from '../dispatch';
import { dateAndTime, elapsed, firstLine, lasted, moment, shownTags } from '../format';
import { DispatchRow } from '../types';
import { useActions, useTrans } from './context';
import { nameOf, progressWords, secondsLeft, sweptLattice } from './figures';
import { dispatchState, isEnded, restWords, Trans } from '../states';
import { useClock, useModel } from './hooks';
import { Bar, Button, IdButton, MenuButton, Sign } from './parts';
import { Waiting } from './waiting';

interface Props {
  model: DispatchModel;
  /** On the page it has all actions and facts; in a notebook one line, its bar, and a button that opens the page. */
  place: 'page' | 'notebook';
}

/** Name, state, id, figures, the bar, and what can be done with the dispatch. */
export function Header({ model, place }: Props): JSX.Element | null {
  useModel(model);
  const trans = useTrans();
  const { row } = model;
  const ended = !row || isEnded(row.status);
  const now = useClock(() => model.now(), !ended);
  if (!row) {
    return null;
  }
  return (
    <div className={`cv-header cv-in-${place}`} role="group" aria-label={trans.__('Dispatch %1', nameOf(row))}>
      <div className="cv-titleLine">
        <Sign state={dispatchState(row, trans)} />
        {place === 'page' ? (
          <h1 title={nameOf(row)}>{nameOf(row)}</h1>
        ) : (
          <span className="cv-title" title={nameOf(row)}>
            {nameOf(row)}
          </span>
        )}
        <IdButton id={row.dispatch_id} />
        {place === 'notebook' && <span className="cv-mute cv-figures">{figures(row, now, trans)}</span>}
        {shownTags(row).map(tag => (
          <span key={tag} className="cv-tag">
            #{tag}
          </span>
        ))}
        <span className="cv-space" />
        {model.presence !== 'deleted' && <HeaderActions row={row} place={place} />}
      </div>
      {place === 'page' && <Facts row={row} now={now} />}
      {place === 'page' && <Spoken row={row} />}
      <Bar counts={row.counts} />
      <Waiting model={model} />
      <Notices notices={row.notices ?? []} />
      {place === 'page' && row.note && <p className="cv-note">{row.note}</p>}
    </div>
  );
}

/** What a screen reader says when the state changes, and when an electron has failed. */
function Spoken({ row }: { row: DispatchRow }): JSX.Element {
  const trans = useTrans();
  const failed = row.counts.failed ?? 0;
  const words = trans.__('%1: %2', nameOf(row), dispatchState(row, trans).word);
  return (
    <span className="cv-hidden" role="status" aria-label={trans.__('State of the dispatch')}>
      {failed > 0 ? `${words}, ${trans._n('%1 electron failed', '%1 electrons failed', failed)}` : words}
    </span>
  );
}

/** What people should know of the run, beside how it went; the first few, the rest on demand. */
function Notices({ notices }: { notices: readonly string[] }): JSX.Element | null {
  const trans = useTrans();
  if (notices.length === 0) {
    return null;
  }
  const [few, more] = [notices.slice(0, 3), notices.slice(3)];
  const line = (text: string, i: number) => <li key={i}>{text}</li>;
  return (
    <div className="cv-notices">
      <ul aria-label={trans.__('Notices')}>{few.map(line)}</ul>
      {more.length > 0 && (
        <details>
          <summary>{trans._n('%1 more', '%1 more', more.length)}</summary>
          <ul>{more.map(line)}</ul>
        </details>
      )}
    </div>
  );
}

/** "18 of 34 · 0:42 · about 0:30 left" */
function figures(row: DispatchRow, now: number, trans: Trans): string {
  const parts = [progressWords(row, trans), lasted(row, now)];
  const left = secondsLeft(row, now);
  if (left !== null) {
    parts.push(trans.__('about %1 left', elapsed(left)));
  }
  return parts.join(' · ');
}

function HeaderActions({ row, place }: { row: DispatchRow; place: Props['place'] }): JSX.Element {
  const trans = useTrans();
  const actions = useActions();
  const id = row.dispatch_id;
  const ended = isEnded(row.status);
  const { redispatch, link } = actions;
  const swept = sweptLattice(row);
  const again = redispatch
    ? [
        { label: trans.__('Run Again'), title: trans.__('Everything anew'), run: () => redispatch(id, 'none') },
        {
          label: trans.__('Run Again, Reuse What Is There'),
          title: trans.__('Electrons with the same code and inputs keep their values'),
          run: () => redispatch(id, 'changed')
        }
      ]
    : [];
  const more = [
    ...(actions.rename ? [{ label: trans.__('Rename…'), run: () => actions.rename!(id) }] : []),
    ...(actions.tag ? [{ label: trans.__('Tag…'), run: () => actions.tag!(id) }] : []),
    ...(actions.note ? [{ label: trans.__('Note…'), run: () => actions.note!(id) }] : []),
    ...(actions.compare
      ? [{ label: trans.__('All Runs of %1', swept ?? row.lattice), run: () => actions.compare!([id]) }]
      : []),
    ...(actions.compare && row.redispatch_of
      ? [
          {
            label: trans.__('Compare with %1, Which It Repeats', row.redispatch_of.slice(0, 4)),
            run: () => actions.compare!([row.redispatch_of!, id])
          }
        ]
      : []),
    ...(actions.copy ? [{ label: trans.__('Copy Id'), run: () => actions.copy!(id) }] : []),
    ...(actions.copy && link ? [{ label: trans.__('Copy Link'), run: () => actions.copy!(link(id)) }] : []),
    ...(actions.insertCell
      ? [{ label: trans.__('Insert Code That Fetches the Result'), run: () => actions.insertCell!(resultCell(id)) }]
      : []),
    ...(actions.remove && ended ? [{ label: trans.__('Delete…'), run: () => actions.remove!(id) }] : [])
  ];
  return (
    <span className="cv-actions">
      {actions.cancel && !ended && <Button onClick={() => actions.cancel!(id)}>{trans.__('Cancel')}</Button>}
      {redispatch && ended && row.status !== 'COMPLETED' && (
        <Button onClick={() => redispatch(id, 'failed')} title={trans.__('Every completed electron keeps its value')}>
          {restWords([row], trans)}
        </Button>
      )}
      {place === 'notebook' && ended && (
        <MenuButton label={<>{trans.__('Run Again')} ▾</>} title={trans.__('Run Again')} items={again} />
      )}
      {place === 'notebook' && actions.open && (
        <Button onClick={() => actions.open!(id)} title={trans.__('Open the page of this dispatch')}>
          {trans.__('Open')}
        </Button>
      )}
      {place === 'page' && swept !== null && actions.compare && (
        <Button onClick={() => actions.compare!([id])} title={trans.__('The runs of this sweep as a table, with a plot')}>
          {trans.__('Runs')}
        </Button>
      )}
      {place === 'page' && (
        <MenuButton label={<>{trans.__('Run Again')} ▾</>} title={trans.__('Run Again')} items={again} />
      )}
      <MenuButton label="⋯" title={trans.__('More actions')} items={more} />
    </span>
  );
}

function Facts({ row, now }: { row: DispatchRow; now: number }): JSX.Element {
  const trans = useTrans();
  const { open } = useActions();
  const began = row.started ?? row.created;
  const state = dispatchState(row, trans);
  const inputs = Object.entries(row.inputs)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
  const { python, prefix, host } = row.environment;
  const left = secondsLeft(row, now);
  return (
    <div className="cv-facts">
      <span className={`cv-${state.colour}`}>
        {firstUpper(state.word)} <b title={row.ended === null ? trans.__('Since it started') : trans.__('From start to end')}>{lasted(row, now)}</b>
        {left !== null && <span className="cv-mute">, {trans.__('about %1 left', elapsed(left))}</span>}
      </span>
      <span title={dateAndTime(began)}>
        {trans.__('Started')} <b>{moment(began, now, { seconds: true })}</b>
      </span>
      {row.ended !== null && (
        <span title={dateAndTime(row.ended)}>
          {trans.__('Ended')} <b>{moment(row.ended, now, { seconds: true })}</b>
        </span>
      )}
      {inputs && (
        <span className="cv-inputs" title={inputs}>
          {trans.__('Inputs')} <b className="cv-mono">{firstLine(inputs)}</b>
        </span>
      )}
      {python && (
        <span title={[prefix, host].filter(Boolean).join('\n')}>
          {trans.__('Python')} <b>{[python, prefix?.split('/').pop()].filter(Boolean).join(' · ')}</b>
        </span>
      )}
      {row.notebook && (
        <span title={row.notebook}>
          {trans.__('Notebook')} <b>{row.notebook.split('/').pop()}</b>
        </span>
      )}
      {row.parent_id && open && (
        <button className="cv-link" onClick={() => open(row.parent_id!, row.parent_node ?? undefined)}>
          {trans.__('part of %1', row.parent_id.slice(0, 4))}
        </button>
      )}
      {row.redispatch_of && open && (
        <button className="cv-link" onClick={() => open(row.redispatch_of!)}>
          {trans.__('repeats %1', row.redispatch_of.slice(0, 4))}
        </button>
      )}
    </div>
  );
}

function firstUpper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
