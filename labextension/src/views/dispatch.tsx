import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Preview } from '../types';
import { useTrans } from './context';
import { Details } from './details';
import { ElectronTable, TableView, USUAL_VIEW } from './electrons';
import { Errors } from './errors';
import { isEnded, Trans } from '../states';
import { Chosen, GraphView } from './graph/graph';
import { Header } from './header';
import { isCovered, useAnswer, useModel } from './hooks';
import { Logs } from './logs';
import { Empty } from './parts';
import { PreviewView } from './preview';
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

interface Props {
  model: DispatchModel;
  state: PageState;
  onState: (state: PageState) => void;
}

/** The whole page of a dispatch: header, tabs, and the details of the chosen electron, which all tabs share. */
export function DispatchView({ model, state, onState }: Props): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const [table, setTable] = React.useState<TableView>(USUAL_VIEW);
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
          {tab === 'graph' && <GraphView model={model} chosen={chosen} onChoose={choose} />}
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
        {chosen && <Side model={model} chosen={chosen} onChoose={choose} />}
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

/** Details of an electron, also of one inside an opened sublattice: that one has a model of its own. */
function Side({ model, chosen, onChoose }: { model: DispatchModel; chosen: Chosen; onChoose: (next: Chosen | null) => void }): JSX.Element {
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
  const [width, setWidth] = React.useState(340);
  return (
    <div className="cv-side" style={{ width }}>
      <Splitter width={width} onWidth={setWidth} />
      {shown && (
        <Details
          key={`${chosen.dispatch} ${chosen.node}`}
          model={shown}
          node={chosen.node}
          onClose={() => onChoose(null)}
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

interface ResultPart {
  node: number;
  name: string;
  path: string;
  preview: Preview | null;
}

/** The value of a dispatch that has completed, in one line; what is larger opens. */
function ResultLine({ model, onChoose }: { model: DispatchModel; onChoose: (node: number) => void }): JSX.Element | null {
  const trans = useTrans();
  const status = model.row?.status;
  const { data } = useAnswer<{ parts: ResultPart[]; total: number } | null>(
    async () => (status === 'COMPLETED' ? model.source.request(`dispatches/${model.id}/result`) : null),
    [model, model.id, status]
  );
  const parts = data?.parts.filter(part => part.preview) ?? [];
  if (status !== 'COMPLETED' || !data || parts.length === 0) {
    return null;
  }
  const short = parts
    .slice(0, 6)
    .map(({ path, preview }) => `${path && `${path}: `}${preview!.repr.split('\n')[0].slice(0, parts.length > 1 ? 40 : 160)}`)
    .join(', ');
  const line = (
    <>
      <span className="cv-mute">{trans.__('Result')}</span>{' '}
      <span className="cv-mono">
        {short}
        {data.total > 6 && ` … ${data.total}`}
      </span>
    </>
  );
  const large = short.length > 100 || parts.some(({ preview }) => preview!.mime || preview!.repr.includes('\n'));
  return large ? (
    <details className="cv-result">
      <summary>{line}</summary>
      <div className="cv-resultParts">
        {parts.map((part, i) => (
          <div key={i}>
            <button className="cv-link" onClick={() => onChoose(part.node)}>
              {part.path} {part.name} {part.node}
            </button>
            <PreviewView preview={part.preview!} />
          </div>
        ))}
      </div>
    </details>
  ) : (
    <div className="cv-result">{line}</div>
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
  if (model.link !== 'online' && model.link !== 'loading' && model.row && !isEnded(model.row.status)) {
    return (
      <div className="cv-banner cv-warn" role="status">
        {model.link === 'starting'
          ? trans.__('The service is starting; what is shown may be old.')
          : trans.__('The server does not answer; what is shown may be old. The dispatch goes on without it.')}
      </div>
    );
  }
  return null;
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
