import * as React from 'react';

import { currentCodeCell, debugCell, valueCell } from '../cells';
import { DispatchModel } from '../dispatch';
import { dateAndTime, duration, elapsed } from '../format';
import { ElectronDetail, ElectronRow, InputText } from '../types';
import { Spans } from './logs';
import { useActions, useSurroundings, useTrans } from './context';
import { Bar, Metrics, MetricsView, ProgressBar } from './curves';
import { ErrorView } from './errors';
import { bytes, clockSeconds, spent } from './figures';
import { electronState, isEnded } from '../states';
import { Logbook } from './logbook';
import { LogReader } from './log_reader';
import { useAnswer, useClock, useModel } from './hooks';
import { Button, CopyButton, Sign } from './parts';
import { Pending } from './pending';
import { PreviewView, Source } from './preview';

interface Props {
  model: DispatchModel;
  node: number;
  onClose: () => void;
  onChoose: (node: number) => void;
}

/** Lines of an electron's output that its details show. */
const LINES = 12;

/** Everything about one electron, and what can be done with it. */
export function Details({ model, node, onClose, onChoose }: Props): JSX.Element {
  useModel(model);
  const trans = useTrans();
  const row = model.electrons.get(node) ?? null;
  const { data, problem, again } = useAnswer<ElectronDetail>(
    () => model.detail(node),
    [model, node, row?.status, row?.attempt, row?.child]
  );
  const detail = data?.node === node && data.dispatch_id === model.id ? data : null;
  const shown: ElectronRow | null = row && detail ? { ...detail, ...row, preview: detail.preview ?? row.preview } : (row ?? detail);
  if (!shown) {
    return (
      <Pending model={model} problem={problem} again={again}>
        {trans.__('Loading electron %1…', node)}
      </Pending>
    );
  }
  return (
    <aside
      className="cv-details"
      aria-label={trans.__('Electron %1', `${shown.name} ${node}`)}
      onKeyDown={event => event.key === 'Escape' && !event.defaultPrevented && onClose()}
    >
      <div className="cv-detailsTitle">
        <Sign state={electronState(shown, trans)} />
        <h2 title={shown.name}>{shown.name}</h2>
        <span className="cv-mute cv-mono">{node}</span>
        <span className="cv-space" />
        <button className="cv-quiet cv-close" aria-label={trans.__('Close the details')} title={trans.__('Close')} onClick={onClose}>
          ✕
        </button>
      </div>
      <StateLine row={shown} model={model} />
      <ElectronActions row={shown} model={model} />
      {shown.error && (
        <Section title={trans.__('Error')}>
          <ErrorView error={shown.error} />
        </Section>
      )}
      <Reports model={model} row={shown} />
      {detail && <Inputs inputs={detail.inputs} after={detail.after} model={model} onChoose={onChoose} />}
      {shown.preview && (
        <Section title={trans.__('Result')}>
          <PreviewView preview={shown.preview} />
          <FetchCode row={shown} />
        </Section>
      )}
      <Output model={model} row={shown} />
      {shown.warnings.length > 0 && (
        <Section title={trans.__('Warnings')}>
          {shown.warnings.map(warning => (
            <p key={warning} className="cv-warn">
              {warning}
            </p>
          ))}
        </Section>
      )}
      {detail && detail.attempts.length > 1 && <Attempts detail={detail} />}
      {detail && <Resources detail={detail} row={shown} />}
      {detail?.source && (
        <Section title={trans.__('Source')}>
          <Source text={detail.source.trimEnd()} />
          <div className="cv-mute cv-small" title={detail.file}>
            {detail.file && trans.__('%1, line %2', tail(detail.file), detail.line)}
            {detail.call_line > 0 &&
              ` · ${trans.__('called in %1, line %2', tail(detail.call_file) || trans.__('the lattice'), detail.call_line)}`}
          </div>
          <Captured captured={detail.captured} />
        </Section>
      )}
      {problem && !detail && (
        <Pending model={model} problem={problem} again={again}>
          {trans.__('Loading electron %1…', node)}
        </Pending>
      )}
    </aside>
  );
}

interface SectionProps {
  title: string;
  /** Of its heading: 3 among the details of an electron, 2 where it stands below the name of the page. */
  level?: 2 | 3;
  children: React.ReactNode;
}

export function Section({ title, level = 3, children }: SectionProps): JSX.Element {
  const Heading = `h${level}` as const;
  return (
    <section className="cv-section" aria-label={title}>
      <Heading>{title}</Heading>
      {children}
    </section>
  );
}

/** "failed after 0.4 s · attempt 2 · dask · worker host:1" */
function StateLine({ row, model }: { row: ElectronRow; model: DispatchModel }): JSX.Element {
  const trans = useTrans();
  const now = useClock(() => model.now(), !isEnded(row.status));
  const seconds = spent(row, now);
  const word = electronState(row, trans).word;
  const parts = [
    seconds === null || row.reused
      ? word
      : isEnded(row.status)
        ? trans.__('%1 after %2', word, duration(seconds))
        : trans.__('%1 for %2', word, elapsed(seconds))
  ];
  if (row.attempt > 1) {
    parts.push(trans.__('attempt %1', row.attempt));
  }
  parts.push(row.executor, row.worker && trans.__('worker %1', row.worker));
  return (
    <div className="cv-mute cv-stateLine" title={row.started === null ? '' : dateAndTime(row.started)}>
      {parts.filter(Boolean).join(' · ')}
    </div>
  );
}

function ElectronActions({ row, model }: { row: ElectronRow; model: DispatchModel }): JSX.Element | null {
  const trans = useTrans();
  const { cancel, redispatch, insertCell, open } = useActions();
  const id = model.id;
  const failed = row.status === 'FAILED';
  const over = !!model.row && isEnded(model.row.status);
  return (
    <div className="cv-buttons">
      {cancel && !isEnded(row.status) && (
        <Button onClick={() => cancel(id, [row.node])} title={trans.__('Stop this electron; what depends on it is skipped')}>
          {trans.__('Cancel Electron')}
        </Button>
      )}
      {failed && over && redispatch && (
        <Button
          onClick={() => redispatch(id, 'failed')}
          title={trans.__('With the code as it was recorded; every completed electron keeps its value')}
        >
          {trans.__('Run Failed Again')}
        </Button>
      )}
      {failed && over && insertCell && (
        <Button
          onClick={() => insertCell(currentCodeCell(id))}
          title={trans.__('Inserts the cell into the active notebook: it takes the definitions of its kernel')}
        >
          {trans.__('Run Failed Again with Current Code')}
        </Button>
      )}
      {failed && insertCell && (
        <Button
          onClick={() => insertCell(debugCell(id, row.node))}
          title={trans.__('Inserts a cell that runs the electron in the kernel, under a debugger')}
        >
          {trans.__('Debug in Notebook')}
        </Button>
      )}
      {row.child && open && (
        <Button onClick={() => open(row.child!)} title={trans.__('The page of the run of this sublattice')}>
          {trans.__('Open Its Run')}
        </Button>
      )}
    </div>
  );
}

function FetchCode({ row }: { row: ElectronRow }): JSX.Element | null {
  const trans = useTrans();
  const { insertCell } = useActions();
  if (row.status !== 'COMPLETED') {
    return null;
  }
  const code = valueCell(row.dispatch_id, row.node);
  return (
    <div className="cv-buttons">
      <CopyButton text={code}>{trans.__('Copy Fetch Code')}</CopyButton>
      {insertCell && (
        <Button onClick={() => insertCell(code)} title={code}>
          {trans.__('Insert Fetch Code')}
        </Button>
      )}
    </div>
  );
}

interface InputsProps {
  inputs: InputText[];
  after: number[];
  model: DispatchModel;
  onChoose: (node: number) => void;
}

function Inputs({ inputs, after, model, onChoose }: InputsProps): JSX.Element | null {
  const trans = useTrans();
  if (inputs.length === 0 && after.length === 0) {
    return null;
  }
  const link = (node: number) => (
    <button key={node} className="cv-link" onClick={() => onChoose(node)}>
      {model.electrons.get(node)?.name ?? trans.__('node')} {node}
    </button>
  );
  return (
    <Section title={trans.__('Inputs')}>
      <table className="cv-pairs">
        <tbody>
          {inputs.map((input, i) => (
            <tr key={i}>
              <th scope="row">{input.name}</th>
              <td>
                {input.kind === 'node' || input.kind === 'template' ? (
                  <>
                    {(input.nodes ?? []).slice(0, 12).map((node, n) => (
                      <React.Fragment key={n}>
                        {n > 0 && ', '}
                        {link(node)}
                      </React.Fragment>
                    ))}
                    {(input.nodes?.length ?? 0) > 12 && ` … ${input.nodes!.length}`}
                    <span className="cv-mute cv-small">
                      {' '}
                      {input.kind === 'node' ? selector(input) : ''} {valueOf(model, input)}
                    </span>
                  </>
                ) : (
                  <span className="cv-mono">{input.text}</span>
                )}
              </td>
            </tr>
          ))}
          {after.length > 0 && (
            <tr>
              <th scope="row">{trans.__('waits for')}</th>
              <td>{after.slice(0, 12).map(link)}</td>
            </tr>
          )}
        </tbody>
      </table>
    </Section>
  );
}

/** "node 3['x']" -> "['x']" */
function selector(input: InputText): string {
  return input.text.replace(/^node \d+/, '');
}

function valueOf(model: DispatchModel, input: InputText): string {
  const preview = input.nodes?.length === 1 ? model.electrons.get(input.nodes[0])?.preview : null;
  return preview ? [preview.type, preview.shape].filter(Boolean).join(' ') : '';
}

/** The bar and the curves of an electron that reports. */
function Reports({ model, row }: { model: DispatchModel; row: ElectronRow }): JSX.Element | null {
  const trans = useTrans();
  const { source } = useSurroundings();
  const reported = useReportClock(row);
  const stamp = row.status === 'RUNNING' ? reported : row.status;
  const { data } = useAnswer<Metrics>(
    () => source.request<Metrics>(`dispatches/${model.id}/electrons/${row.node}/metrics`),
    [model, row.node, stamp, row.attempt]
  );
  // the feed tells of a bar sooner than the metrics, which are asked for now and then
  const live = row.status === 'RUNNING' ? (row.progress as Bar & { bars?: Bar[] }) : null;
  const bars = live?.bars ?? (typeof live?.done === 'number' ? [live] : (data?.bars ?? []));
  if (bars.length === 0 && !data?.bar && Object.keys({ ...data?.series, ...data?.last }).length === 0) {
    return null;
  }
  return (
    <Section title={trans.__('Progress')}>
      {data ? <MetricsView metrics={{ ...data, bars }} /> : bars.map((bar, i) => <ProgressBar key={i} {...bar} />)}
    </Section>
  );
}

/** Grows at most once in two seconds while the electron's reports change. */
function useReportClock(row: ElectronRow): number {
  const told = JSON.stringify(row.progress ?? {});
  const state = React.useRef({ told, count: 0, at: 0 });
  if (state.current.told !== told && Date.now() - state.current.at > 2000) {
    state.current = { told, count: state.current.count + 1, at: Date.now() };
  }
  return state.current.count;
}

/** The last lines of what it printed. */
function Output({ model, row }: { model: DispatchModel; row: ElectronRow }): JSX.Element | null {
  const trans = useTrans();
  const [reader, setReader] = React.useState<LogReader | null>(null);
  React.useEffect(() => {
    const made = new LogReader(model, row.node);
    setReader(made);
    return () => made.dispose();
  }, [model, row.node]);
  useModel(reader);
  const book: Logbook | undefined = reader?.book;
  if (!book || book.lines.length === 0) {
    return null;
  }
  return (
    <Section title={trans.__('Output')}>
      <pre className="cv-code" tabIndex={0} aria-label={trans.__('Output')}>
        {book.lines.length > LINES && (
          <span className="cv-mute">{trans.__('… %1 lines before', book.lines.length - LINES)}{'\n'}</span>
        )}
        {book.lines.slice(-LINES).map((line, i) => (
          <span key={i} className={line.stream === 'stderr' ? 'cv-stderr' : ''}>
            <Spans spans={line.spans} />
            {'\n'}
          </span>
        ))}
      </pre>
    </Section>
  );
}

function Attempts({ detail }: { detail: ElectronDetail }): JSX.Element {
  const trans = useTrans();
  return (
    <Section title={trans.__('Attempts')}>
      <table className="cv-pairs">
        <tbody>
          {detail.attempts.map(attempt => (
            <tr key={attempt.attempt}>
              <th scope="row">{attempt.attempt}</th>
              <td>
                {attempt.status}
                {attempt.started && attempt.ended ? ` · ${duration(attempt.ended - attempt.started)}` : ''}
                {attempt.started ? ` · ${clockSeconds(attempt.started)}` : ''}
                <span className="cv-mute"> {attempt.worker}</span>
                {attempt.error && (
                  <div className="cv-failed">
                    {attempt.error.type}: {attempt.error.message}
                  </div>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  );
}

/** Executor, memory, and the options that were given. */
function Resources({ detail, row }: { detail: ElectronDetail; row: ElectronRow }): JSX.Element {
  const trans = useTrans();
  const { executor, ...options } = detail.options as { executor?: unknown } & Record<string, unknown>;
  const given: [string, string][] = [[trans.__('executor'), row.executor || textOf(executor)]];
  if (row.rss) {
    given.push([trans.__('memory at most'), bytes(row.rss)]);
  }
  if (row.started !== null) {
    given.push([trans.__('started'), dateAndTime(row.started)]);
  }
  if (row.ended !== null) {
    given.push([trans.__('ended'), dateAndTime(row.ended)]);
  }
  Object.entries(options).forEach(([name, value]) => {
    if (!isEmpty(value)) {
      given.push([name, textOf(value)]);
    }
  });
  return (
    <Section title={trans.__('Executor and resources')}>
      <Pairs pairs={given} />
    </Section>
  );
}

export function Pairs({ pairs }: { pairs: [string, string][] }): JSX.Element {
  return (
    <table className="cv-pairs">
      <tbody>
        {pairs.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td className="cv-mono">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Captured({ captured }: { captured: Record<string, string> }): JSX.Element | null {
  const trans = useTrans();
  const pairs = Object.entries(captured ?? {});
  return pairs.length === 0 ? null : (
    <>
      <div className="cv-mute cv-small">{trans.__('Captured from the notebook:')}</div>
      <Pairs pairs={pairs} />
    </>
  );
}

function tail(path: string): string {
  return path.split('/').pop() ?? '';
}

function isEmpty(value: unknown): boolean {
  return (
    value === null || value === undefined || value === 0 || value === false ||
    (typeof value === 'object' && Object.values(value as object).every(isEmpty))
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value) ?? '';
}
