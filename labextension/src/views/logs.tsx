import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { Span } from './ansi';
import { useActions, useTrans } from './context';
import { useModel } from './hooks';
import { LogReader } from './log_reader';
import { LogLine, Stream } from './logbook';
import { Button, Empty } from './parts';
import { Pending } from './pending';
import { isEnded } from '../states';
import { VirtualHandle, VirtualList } from './virtual';

const LINE = 18;

interface Props {
  model: DispatchModel;
  chosen: number | null;
  onChoose: (node: number | null) => void;
}

/** What the electrons have printed: live, followed only while the end is in sight. */
export function Logs({ model, chosen, onChoose }: Props): JSX.Element {
  useModel(model);
  React.useEffect(() => model.want('electrons'), [model]);
  const trans = useTrans();
  const { download } = useActions();
  const [only, setOnly] = React.useState<number | null>(chosen);
  const [stream, setStream] = React.useState<Stream | 'both'>('both');
  const reader = useReader(model, only);
  const printing = useTelling(model, chosen);
  const nameOf = (node: number) => model.electrons.get(node)?.name ?? '';
  const lines = React.useMemo(
    () => reader?.book.lines.filter(line => stream === 'both' || line.stream === stream) ?? [],
    [reader, reader?.book.revision, stream]
  );
  const name = `${model.row?.name ?? 'dispatch'}-${model.id.slice(0, 8)}${only === null ? '' : `-${only}`}.log`;
  return (
    <div className="cv-logs">
      <div className="cv-toolbar">
        <select
          aria-label={trans.__('Electron')}
          value={only ?? ''}
          onChange={event => setOnly(event.target.value === '' ? null : Number(event.target.value))}
        >
          <option value="">{trans.__('All electrons')}</option>
          {printing.map(row => (
            <option key={row.node} value={row.node}>
              {row.name} {row.node} {model.inputsOf(row.node)}
            </option>
          ))}
        </select>
        <div className="cv-chips" role="group" aria-label={trans.__('Streams')}>
          {(['both', 'stdout', 'stderr'] as const).map(id => (
            <button key={id} aria-pressed={stream === id} onClick={() => setStream(id)}>
              {id === 'both' ? trans.__('both') : id}
            </button>
          ))}
        </div>
        <span className="cv-space" />
        {reader && reader.book.dropped > 0 && (
          <span className="cv-mute">{trans.__('%1 earlier lines left out', reader.book.dropped)}</span>
        )}
        {reader?.problem && <span className="cv-failed">{reader.problem}</span>}
        {download && lines.length > 0 && (
          <Button onClick={() => download(name, reader!.book.text(lines, nameOf))}>{trans.__('Download')}</Button>
        )}
      </div>
      {lines.length === 0 ? (
        <NoLines model={model} reader={reader} />
      ) : (
        <Lines
          lines={lines}
          stamp={reader!.book.revision}
          gutter={only === null ? nameOf : null}
          onChoose={node => onChoose(node)}
        />
      )}
    </div>
  );
}

/** In the place of lines: that they come, why they do not, or that there are none. */
function NoLines({ model, reader }: { model: DispatchModel; reader: LogReader | null }): JSX.Element {
  const trans = useTrans();
  if (!reader || reader.problem || reader.busy || !model.complete) {
    return (
      <Pending model={model} problem={reader?.problem}>
        {trans.__('Loading logs…')}
      </Pending>
    );
  }
  const inner = [...model.electrons.values()].some(row => row.child);
  return (
    <Empty>
      <p>{model.row && !isEnded(model.row.status) ? trans.__('Nothing was printed yet.') : trans.__('Nothing was printed.')}</p>
      {inner && <p>{trans.__('What runs of sublattices print is on their own pages: open one from its details.')}</p>}
    </Empty>
  );
}

function useReader(model: DispatchModel, only: number | null): LogReader | null {
  const [reader, setReader] = React.useState<LogReader | null>(null);
  React.useEffect(() => {
    const made = new LogReader(model, only);
    setReader(made);
    return () => made.dispose();
  }, [model, only]);
  useModel(reader);
  return reader;
}

/** Electrons that have printed something. */
function useTelling(model: DispatchModel, chosen: number | null) {
  return React.useMemo(
    () =>
      [...model.electrons.values()]
        .filter(row => (row.stdout[1] ?? 0) + (row.stderr[1] ?? 0) > 0 || model.logs.has(row.node) || row.node === chosen)
        .sort((a, b) => a.node - b.node)
        .slice(0, 2000),
    [model, model.revision, chosen]
  );
}

interface LinesProps {
  lines: LogLine[];
  stamp: number;
  gutter: ((node: number) => string) | null;
  onChoose: (node: number) => void;
}

function Lines({ lines, stamp, gutter, onChoose }: LinesProps): JSX.Element {
  const trans = useTrans();
  const list = React.useRef<VirtualHandle>(null);
  const [following, setFollowing] = React.useState(true);
  React.useEffect(() => {
    if (following) {
      list.current?.scrollToEnd();
    }
  }, [lines, stamp, following]);
  const longest = React.useMemo(
    () => lines.reduce((most, line) => Math.max(most, lengthOf(line)), 0),
    [lines, stamp]
  );
  return (
    <>
      <VirtualList
        ref={list}
        className="cv-lines"
        count={lines.length}
        rowHeight={LINE}
        width={`max(100%, ${longest + (gutter ? 26 : 4)}ch)`}
        onScrolled={setFollowing}
        attributes={{ role: 'log', 'aria-label': trans.__('Output'), 'aria-live': 'off', tabIndex: 0 }}
        renderRow={index => {
          const line = lines[index];
          return (
            <div key={index} className={`cv-line ${line.stream === 'stderr' ? 'cv-stderr' : ''}`}>
              {gutter && (
                <button
                  className="cv-gutter"
                  tabIndex={-1}
                  title={`${gutter(line.node)} ${line.node}`}
                  onClick={() => onChoose(line.node)}
                >
                  {gutter(line.node)} {line.node}
                </button>
              )}
              <span className={line.remark ? 'cv-mute' : 'cv-said'}>
                <Spans spans={line.spans} />
              </span>
            </div>
          );
        }}
      />
      {!following && (
        <button
          className="cv-button cv-follow"
          onClick={() => {
            setFollowing(true);
            list.current?.scrollToEnd();
          }}
        >
          {trans.__('Follow')} ↓
        </button>
      )}
    </>
  );
}

function lengthOf(line: LogLine): number {
  return line.spans.reduce((sum, span) => sum + span.text.length, 0);
}

/** Coloured text; a colour is a class, never a style that somebody printed. */
export function Spans({ spans }: { spans: readonly Span[] }): JSX.Element {
  return (
    <>
      {spans.map((span, i) =>
        span.colour || span.bold || span.faint ? (
          <span
            key={i}
            className={[span.colour && `cv-ansi-${span.colour}`, span.bold && 'cv-bold', span.faint && 'cv-mute']
              .filter(Boolean)
              .join(' ')}
          >
            {span.text}
          </span>
        ) : (
          span.text
        )
      )}
    </>
  );
}
