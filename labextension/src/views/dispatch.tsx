import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { useTrans } from './context';
import { Details } from './details';
import { ElectronTable, TableView, USUAL_VIEW } from './electrons';
import { Errors } from './errors';
import { isEnded, Trans } from '../states';
import { Chosen, GraphState, GraphView } from './graph/graph';
import { Header } from './header';
import { isCovered, useModel } from './hooks';
import { Logs } from './logs';
import { Empty } from './parts';
import { StartButton } from './pending';
import { ResultLine } from './result';
import { Sources } from './sources';
import { Tab, TabPanel, Tabs } from './tabs';
import { Timeline } from './timeline';
import { Versions } from './versions';

export type TabId = 'graph' | 'electrons' | 'timeline' | 'logs' | 'errors' | 'source' | 'versions';

export const TAB_IDS: readonly TabId[] = ['graph', 'electrons', 'timeline', 'logs', 'errors', 'source', 'versions'];

/** What is open on a dispatch's page, kept over a reload. */
export interface PageState {
  tab: TabId;
  chosen: Chosen | null;
}

/** How somebody has arranged his pages, whichever dispatch they show. */
export interface Layout {
  /** Of the details, in px. */
  width: number;
  /** Of the table of electrons. */
  columns: string[];
}

export const USUAL_LAYOUT: Layout = { width: 340, columns: USUAL_VIEW.columns };

interface Props {
  model: DispatchModel;
  state: PageState;
  onState: (state: PageState) => void;
  layout: Layout;
  onLayout: (part: Partial<Layout>) => void;
}

/** The whole page of a dispatch: header, tabs, and the details of the chosen electron, which all tabs share. */
export function DispatchView({ model, state, onState, layout, onLayout }: Props): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const [view, setView] = React.useState<TableView>(USUAL_VIEW);
  const graph = React.useRef<GraphState | null>(null);
  const prefix = React.useMemo(() => `cv-${Math.random().toString(36).slice(2)}`, []);
  const body = React.useRef<HTMLDivElement>(null);
  const { row } = model;
  if (!row) {
    return <Absent model={model} />;
  }
  const { tab } = state;
  const chosen = state.chosen && state.chosen.dispatch === '' ? { ...state.chosen, dispatch: model.id } : state.chosen;
  const own = chosen && chosen.dispatch === model.id ? chosen.node : null;
  const choose = (next: Chosen | null) => onState({ ...state, chosen: next });
  const table = { ...view, columns: layout.columns };
  const setTable = (next: TableView) => {
    setView(next);
    if (next.columns !== layout.columns) {
      onLayout({ columns: next.columns });
    }
  };
  const chooseNode = (node: number) => choose({ dispatch: model.id, node });
  return (
    <div className="jp-CovalentView cv-page">
      <Warnings model={model} />
      <Header model={model} place="page" />
      <ResultLine model={model} onChoose={chooseNode} />
      <Tabs
        tabs={tabsOf(model, trans)}
        chosen={tab}
        onChoose={id => onState({ tab: id as TabId, chosen: isCovered(body.current, '.cv-side') ? null : state.chosen })}
        label={trans.__('Views of the dispatch')}
        prefix={prefix}
      />
      <div className="cv-body" ref={body}>
        <TabPanel prefix={prefix} chosen={tab}>
          {tab === 'graph' && <GraphView model={model} chosen={chosen} onChoose={choose} kept={graph} />}
          {tab === 'electrons' && (
            <ElectronTable model={model} chosen={own} onChoose={chooseNode} view={table} onView={setTable} />
          )}
          {tab === 'timeline' && <Timeline model={model} chosen={own} onChoose={chooseNode} />}
          {tab === 'logs' && (
            <Logs model={model} chosen={own} onChoose={node => choose(node === null ? null : { dispatch: model.id, node })} />
          )}
          {tab === 'errors' && <Errors model={model} chosen={own} onChoose={chooseNode} />}
          {tab === 'source' && <Sources model={model} chosen={own} />}
          {tab === 'versions' && <Versions model={model} />}
        </TabPanel>
        {chosen && (
          <Side model={model} chosen={chosen} onChoose={choose} width={layout.width} onWidth={width => onLayout({ width })} />
        )}
      </div>
    </div>
  );
}

function tabsOf(model: DispatchModel, trans: Trans): Tab[] {
  const failed = model.row?.counts.failed ?? 0;
  return [
    { id: 'graph', label: trans.__('Graph') },
    { id: 'electrons', label: trans.__('Electrons'), count: model.total },
    { id: 'timeline', label: trans.__('Timeline') },
    { id: 'logs', label: trans.__('Logs') },
    { id: 'errors', label: trans.__('Errors'), count: failed || undefined, tone: failed ? 'failed' : undefined },
    { id: 'source', label: trans.__('Source') },
    { id: 'versions', label: trans.__('Versions') }
  ];
}

interface SideProps {
  model: DispatchModel;
  chosen: Chosen;
  onChoose: (next: Chosen | null) => void;
  width: number;
  onWidth: (width: number) => void;
}

/** Details of an electron, also of one inside an opened sublattice: that one has a model of its own. */
function Side({ model, chosen, onChoose, width, onWidth }: SideProps): JSX.Element {
  const box = React.useRef<HTMLDivElement>(null);
  /** What had the focus before the details took it. */
  const origin = React.useRef<HTMLElement | null>(null);
  const onFocus = ({ relatedTarget }: React.FocusEvent) => {
    if (relatedTarget instanceof HTMLElement && !box.current?.contains(relatedTarget)) {
      origin.current = relatedTarget;
    }
  };
  const close = () => {
    const tab = box.current?.closest('.cv-page')?.querySelector<HTMLElement>('[role=tab][aria-selected=true]');
    onChoose(null);
    (origin.current?.isConnected ? origin.current : tab)?.focus();
  };
  const foreign = chosen.dispatch !== model.id;
  const [other, setOther] = React.useState<DispatchModel | null>(null);
  React.useEffect(() => {
    if (!foreign) {
      return;
    }
    const made = new DispatchModel(model.source, chosen.dispatch);
    made.want('electrons', 'graph');
    made.start();
    setOther(made);
    return () => made.dispose();
  }, [foreign, chosen.dispatch, model]);
  const shown = foreign ? other : model;
  return (
    <div className="cv-side" style={{ width }} ref={box} onFocus={onFocus}>
      <Splitter width={width} onWidth={onWidth} />
      {shown && (
        <Details
          key={`${chosen.dispatch} ${chosen.node}`}
          model={shown}
          node={chosen.node}
          onClose={close}
          onChoose={node => onChoose({ dispatch: chosen.dispatch, node })}
        />
      )}
    </div>
  );
}

/** The edge between two panes: dragged, or moved by arrow keys. */
function Splitter({ width, onWidth }: { width: number; onWidth: (width: number) => void }): JSX.Element {
  const trans = useTrans();
  const from = React.useRef<{ x: number; width: number } | null>(null);
  const set = (value: number) => onWidth(Math.max(240, Math.min(900, value)));
  return (
    <div
      className="cv-splitter"
      role="separator"
      aria-orientation="vertical"
      aria-label={trans.__('Width of the details')}
      aria-valuenow={width}
      tabIndex={0}
      onPointerDown={event => {
        from.current = { x: event.clientX, width };
        event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={event => from.current && set(from.current.width + from.current.x - event.clientX)}
      onPointerUp={() => (from.current = null)}
      onKeyDown={event => {
        const step = { ArrowLeft: 20, ArrowRight: -20 }[event.key];
        if (step) {
          event.preventDefault();
          set(width + step);
        }
      }}
    />
  );
}

/** What stands above everything while something is not as it should be. */
function Warnings({ model }: { model: DispatchModel }): JSX.Element | null {
  const trans = useTrans();
  if (model.presence === 'deleted') {
    return (
      <div className="cv-banner cv-failed" role="alert">
        {trans.__('This dispatch was deleted. What is shown here is what was known before; it is gone when this page is closed.')}
      </div>
    );
  }
  const words = lostWords(model, trans);
  return words === '' ? null : (
    <div className="cv-lost" role="status">
      <span>{words}</span>
      {model.link === 'stopped' && <StartButton />}
    </div>
  );
}

/** What a page says whose data may be old, for that the service or the server is not there. */
export function lostWords({ link, row, problem }: Pick<DispatchModel, 'link' | 'row' | 'problem'>, trans: Trans): string {
  const under = row !== null && !isEnded(row.status);
  switch (link) {
    case 'stopped':
      return under
        ? trans.__('The service is stopped. What runs goes on; what waits starts when the service runs again.')
        : trans.__('The service is stopped. Logs and details are read when it runs again.');
    case 'starting':
      return trans.__('The service is starting; what is shown may be old.');
    case 'unreachable':
      return under
        ? trans.__('The Jupyter server does not answer; what is shown may be old. The dispatch goes on without it.')
        : trans.__('The Jupyter server does not answer.');
    case 'missing':
    case 'refused':
      return problem || trans.__('The Jupyter server does not answer.');
    default:
      return '';
  }
}

/** While there is no row: loading, unknown, offline. */
function Absent({ model }: { model: DispatchModel }): JSX.Element {
  const trans = useTrans();
  const unknown = model.presence === 'unknown';
  return (
    <div className="jp-CovalentView cv-page">
      <Empty>
        {unknown ? (
          <>
            <p>{trans.__('There is no dispatch %1 here. It may have been deleted, or belong to another store.', model.id)}</p>
            <p>{model.problem}</p>
            <p className="cv-mute">{trans.__('What is there is in the Covalent sidebar. This page can be closed.')}</p>
          </>
        ) : model.link === 'stopped' ? (
          <>
            <p>{trans.__('The service is stopped.')}</p>
            <StartButton />
          </>
        ) : model.link === 'unreachable' || model.link === 'missing' ? (
          <>
            <p>{trans.__('The Jupyter server does not answer. The page appears by itself as soon as it does.')}</p>
            <p>{model.problem}</p>
          </>
        ) : (
          <p>{model.problem || trans.__('Loading dispatch %1…', model.id.slice(0, 8))}</p>
        )}
      </Empty>
    </div>
  );
}
