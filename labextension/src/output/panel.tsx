import * as React from 'react';

import { DispatchRow } from '../types';
import { Actions, SurroundingsProvider, Trans, useTrans } from '../views/context';
import { Details } from '../views/details';
import { ElectronTable, TableView, USUAL_VIEW } from '../views/electrons';
import { Errors } from '../views/errors';
import { Chosen, GraphState, GraphView } from '../views/graph/graph';
import { Header } from '../views/header';
import { isCovered, useModel } from '../views/hooks';
import { Logs } from '../views/logs';
import { Empty } from '../views/parts';
import { Tab, TabPanel, Tabs } from '../views/tabs';
import { Timeline } from '../views/timeline';
import { Memory } from './memory';
import { NowView } from './now';
import { ResultView } from './result';
import { SweepHead } from './sweep_head';

interface Props {
  memory: Memory;
  trans: Trans;
  actions: Actions;
}

/** The panel of a dispatch below a cell: alive while there is a service, still where there is none. */
export function NotebookPanel({ memory, trans, actions }: Props): JSX.Element {
  useModel(memory);
  const { again, chosen, sweep } = memory;
  useModel(chosen);
  const { shown } = chosen;
  useModel(shown);
  const surroundings = React.useMemo(
    () => ({ trans, actions: chosen.isStill ? lookOnly(actions) : actions, source: shown.source }),
    [trans, actions, shown, chosen.isStill]
  );
  return (
    <SurroundingsProvider value={surroundings}>
      <div className="jp-CovalentView cv-notebookPanel" data-dispatch={shown.id} data-status={shown.row?.status}>
        {sweep && <SweepHead sweep={sweep} chosen={shown.id} onChoose={id => memory.choose(id)} />}
        <Head key={`head ${shown.id}`} memory={chosen} />
        <Body key={shown.id} memory={chosen} />
      </div>
      {again && <NotebookPanel memory={again} trans={trans} actions={actions} />}
    </SurroundingsProvider>
  );
}

/** What makes sense without a service. */
function lookOnly(actions: Actions): Actions {
  return { copy: actions.copy, insertCell: actions.insertCell, sanitize: actions.sanitize };
}

function Head({ memory }: { memory: Memory }): JSX.Element {
  const trans = useTrans();
  const { shown } = memory;
  const words = memory.words(trans);
  return (
    <>
      <Header model={shown} place="notebook" />
      {words && (
        <div className={`cv-word cv-${memory.isStill ? 'mute' : 'warn'}`} role="status" title={memory.why}>
          {words}
        </div>
      )}
    </>
  );
}

function Body({ memory }: { memory: Memory }): JSX.Element {
  const trans = useTrans();
  const { shown } = memory;
  useModel(shown);
  const [chosen, setChosen] = React.useState<string | null>(null);
  const [view, setView] = React.useState<TableView>(USUAL_VIEW);
  const graph = React.useRef<GraphState | null>(null);
  const [node, setNode] = React.useState<number | null>(null);
  const prefix = React.useId();
  const body = React.useRef<HTMLDivElement>(null);
  const { row } = shown;
  if (!row) {
    return <Empty>{shown.problem || trans.__('Looking for dispatch %1…', shown.id.slice(0, 8))}</Empty>;
  }
  const tabs = tabsFor(row, memory.isStill, trans);
  const tab = tabs.some(t => t.id === chosen) ? chosen! : usual(row);
  const pick = (next: Chosen | null) => setNode(next && next.dispatch === shown.id ? next.node : null);
  const detailed = node !== null && tab !== 'now' && tab !== 'result' && !memory.isStill;
  const choose = (id: string) => {
    if (isCovered(body.current, '.cv-notebookSide')) {
      setNode(null);
    }
    setChosen(id);
  };
  return (
    <>
      <Tabs tabs={tabs} chosen={tab} onChoose={choose} label={trans.__('Views of the dispatch')} prefix={prefix} />
      <div ref={body} className={`cv-notebookBody cv-tab-${tab} ${detailed ? 'cv-withDetails' : ''}`}>
        <TabPanel prefix={prefix} chosen={tab}>
          {tab === 'now' && <NowView model={shown} onMore={setChosen} />}
          {tab === 'graph' && (
            <GraphView
              model={shown}
              chosen={node === null ? null : { dispatch: shown.id, node }}
              onChoose={pick}
              wheelZooms={false}
              kept={graph}
            />
          )}
          {tab === 'electrons' && (
            <ElectronTable model={shown} chosen={node} onChoose={setNode} view={view} onView={setView} />
          )}
          {tab === 'timeline' && <Timeline model={shown} chosen={node} onChoose={setNode} />}
          {tab === 'logs' && <Logs model={shown} chosen={node} onChoose={setNode} />}
          {tab === 'errors' && <Errors model={shown} chosen={node} onChoose={setNode} />}
          {tab === 'result' && <ResultView model={shown} />}
        </TabPanel>
        {detailed && (
          <div className="cv-notebookSide">
            <Details key={node} model={shown} node={node} onClose={() => setNode(null)} onChoose={setNode} />
          </div>
        )}
      </div>
    </>
  );
}

/** What was saved in a notebook has no times and no logs. */
function tabsFor(row: DispatchRow, still: boolean, trans: Trans): Tab[] {
  const failed = row.counts.failed ?? 0;
  const tabs: (Tab | false)[] = [
    { id: 'now', label: trans.__('Now') },
    { id: 'graph', label: trans.__('Graph') },
    { id: 'electrons', label: trans.__('Electrons') },
    !still && { id: 'timeline', label: trans.__('Timeline') },
    !still && { id: 'logs', label: trans.__('Logs') },
    failed > 0 && { id: 'errors', label: trans.__('Errors'), count: failed, tone: 'failed' },
    { id: 'result', label: trans.__('Result') }
  ];
  return tabs.filter((tab): tab is Tab => tab !== false);
}

/** What is looked at until somebody chooses: what goes on, and then what came of it. */
function usual(row: DispatchRow): string {
  return row.status === 'COMPLETED' ? 'result' : row.status === 'FAILED' && row.counts.failed ? 'errors' : 'now';
}
