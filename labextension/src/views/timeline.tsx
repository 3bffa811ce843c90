import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { duration, elapsed } from '../format';
import { Status } from '../types';
import { useTrans } from './context';
import { clockSeconds } from './figures';
import { isEnded, stateFor, Trans } from '../states';
import { usePalette } from './graph/palette';
import { useClock, useModel, useSize } from './hooks';
import { Attempt, Lanes, lanesOf, nextElectron, Span, ticksOf } from './lanes';
import { Button, Empty } from './parts';
import { Pending } from './pending';
import { drawLabels, drawSpans, drawTicks, LABEL, labelTexts, LANE, lineAt, onlyOnes, Range, useChart } from './timeline_drawing';
import { useAttempts } from './use_attempts';

const AXIS = 24;

interface Props {
  model: DispatchModel;
  chosen: number | null;
  onChoose: (node: number) => void;
}

/** When each attempt waited and ran, by worker. */
export function Timeline({ model, chosen, onChoose }: Props): JSX.Element {
  useModel(model);
  React.useEffect(() => model.want('electrons', 'graph'), [model]);
  const trans = useTrans();
  const { attempts, problem } = useAttempts(model);
  const running = !!model.row && !isEnded(model.row.status);
  const now = useClock(() => model.now(), running);
  const lanes = React.useMemo(
    () => lanesOf((attempts ?? []).map(attempt => wholeIfLattice(attempt, model)), now),
    [attempts, model.electrons.size, running ? now : 0]
  );
  if (!attempts) {
    return (
      <Pending model={model} problem={problem}>
        {trans.__('Loading attempts…')}
      </Pending>
    );
  }
  if (lanes.spans.length === 0) {
    return <Empty>{nothingBegan(model, trans)}</Empty>;
  }
  return <Chart lanes={lanes} chosen={chosen} onChoose={onChoose} model={model} />;
}

function nothingBegan({ row }: DispatchModel, trans: Trans): string {
  if (row?.counts.total === 0) {
    return trans.__('This dispatch has no electrons.');
  }
  return row && isEnded(row.status) ? trans.__('No electron began.') : trans.__('No electron has begun yet.');
}

/** What a sublattice's attempt took beside its building is its run, not the travel of values. */
function wholeIfLattice(attempt: Attempt, model: DispatchModel): Attempt {
  return model.electrons.get(attempt.node)?.child ? { ...attempt, duration: null } : attempt;
}

interface ChartProps {
  lanes: Lanes;
  chosen: number | null;
  onChoose: (node: number) => void;
  model: DispatchModel;
}

function Chart({ lanes, chosen, onChoose, model }: ChartProps): JSX.Element {
  const trans = useTrans();
  const box = React.useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const palette = usePalette(box);
  const [zoomed, setZoomed] = React.useState<Range | null>(null);
  const [over, setOver] = React.useState<{ span: Span; x: number; y: number } | null>(null);
  const drag = React.useRef<{ x: number; far: number } | null>(null);
  const room = Math.max(100, size.width - LABEL - 12);
  const usual = { from: lanes.from, to: Math.max(lanes.to, lanes.from + 0.01) };
  const whole = { from: lanes.queued, to: usual.to };
  const range = zoomed ?? usual;
  const { step, ticks } = ticksOf(range, lanes.began, room / 90);
  const perSecond = room / (range.to - range.from);
  const px = (time: number) => LABEL + (time - range.from) * perSecond;
  const height = lanes.lanes.length * LANE + 8;
  const workers = new Set(lanes.lanes.map(lane => lane.worker)).size;
  const nameOf = (attempt: Attempt) => attempt.name || model.electrons.get(attempt.node)?.name || '';
  const alone = React.useMemo(() => onlyOnes(lanes.spans.map(({ attempt }) => [nameOf(attempt), attempt.node])), [lanes]);
  const labelsOf = (attempt: Attempt) => labelTexts(nameOf(attempt), model.inputsOf(attempt.node), alone.has(nameOf(attempt)));

  const zoom = (factor: number, x: number) => {
    const at = range.from + (x - LABEL) / perSecond;
    const length = Math.max(0.001, Math.min((range.to - range.from) * factor, whole.to - whole.from));
    const from = at - ((at - range.from) * length) / (range.to - range.from);
    setZoomed(clamped({ from, to: from + length }, whole));
  };
  const latest = React.useRef(zoom);
  latest.current = zoom;
  React.useEffect(() => {
    const node = box.current!;
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        latest.current(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 200), event.clientX - node.getBoundingClientRect().left);
      }
    };
    node.addEventListener('wheel', onWheel, { passive: false });
    return () => node.removeEventListener('wheel', onWheel);
  }, []);
  const at = (event: React.MouseEvent): Span | null => {
    const frame = event.currentTarget.getBoundingClientRect();
    const [x, lane] = [event.clientX - frame.left, Math.floor((event.clientY - frame.top) / LANE)];
    let best: Span | null = null;
    for (const span of lanes.spans) {
      if (span.lane === lane && px(span.from) - 2 <= x && x <= Math.max(px(span.to), px(span.from) + 2) + 2) {
        best = span;
      }
    }
    return best;
  };
  const steps = chosen === null ? [] : lanes.spans.filter(span => span.attempt.node === chosen);
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') {
      const next = nextElectron(lanes.spans, chosen, event.key === 'ArrowRight' ? 1 : -1);
      if (next !== undefined) {
        onChoose(next);
      }
    } else if (event.key === '+' || event.key === '=') {
      zoom(0.7, LABEL + room / 2);
    } else if (event.key === '-') {
      zoom(1.4, LABEL + room / 2);
    } else if (event.key === '0') {
      setZoomed(null);
    } else {
      return;
    }
    event.preventDefault();
  };
  const canvas = useChart(size.width, height, context => {
    drawTicks(context, ticks.map(tick => px(lanes.began + tick)), height, palette);
    drawSpans(context, lanes.spans, px, palette, chosen, over?.span ?? null, size.width, range, trans, labelsOf);
    drawLabels(context, lanes, palette);
  });
  return (
    <div className="cv-timeline">
      <div className="cv-toolbar">
        <span className="cv-mute">
          {trans._n('%1 attempt', '%1 attempts', lanes.spans.length)}, {trans._n('%1 worker', '%1 workers', workers)}
        </span>
        <Legend />
        <span className="cv-space" />
        <span className="cv-mute cv-small cv-hint">{trans.__('Ctrl and wheel zoom; drag moves')}</span>
        <span className="cv-together">
          <Button title={trans.__('Zoom in (+)')} label={trans.__('Zoom in')} onClick={() => zoom(0.6, LABEL + room / 2)}>
            +
          </Button>
          <Button title={trans.__('Zoom out (-)')} label={trans.__('Zoom out')} onClick={() => zoom(1.7, LABEL + room / 2)}>
            −
          </Button>
          <Button title={trans.__('Everything (0)')} label={trans.__('Fit')} onClick={() => setZoomed(null)}>
            ⤢
          </Button>
        </span>
      </div>
      <Axis ticks={ticks} step={step} zero={lanes.began} px={px} width={size.width} />
      <div
        className="cv-lanes"
        ref={box}
        tabIndex={0}
        role="listbox"
        aria-label={trans.__('Timeline: arrow keys choose the electron before or after')}
        aria-activedescendant={steps.length > 0 ? 'cv-span-chosen' : undefined}
        onKeyDown={onKeyDown}
      >
        <div
          style={{ height, cursor: over ? 'pointer' : 'grab' }}
          onPointerDown={event => {
            drag.current = { x: event.clientX, far: 0 };
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={event => {
            const from = drag.current;
            if (!from) {
              const span = at(event);
              const frame = box.current!.getBoundingClientRect();
              setOver(span && { span, x: event.clientX - frame.left, y: event.clientY - frame.top });
              return;
            }
            const moved = (from.x - event.clientX) / perSecond;
            from.far += Math.abs(event.clientX - from.x);
            from.x = event.clientX;
            if (zoomed && from.far > 4) {
              setZoomed(clamped({ from: range.from + moved, to: range.to + moved }, whole));
            }
          }}
          onPointerUp={event => {
            const still = drag.current && drag.current.far <= 4;
            drag.current = null;
            const span = still && at(event);
            if (span) {
              onChoose(span.attempt.node);
            }
          }}
          onPointerLeave={() => setOver(null)}
          onDoubleClick={() => setZoomed(null)}
        >
          <canvas ref={canvas} style={{ width: size.width, height }} />
        </div>
        <div className="cv-hidden">
          {steps.map((span, i) => (
            <div key={i} id={i === steps.length - 1 ? 'cv-span-chosen' : undefined} role="option" aria-selected={true}>
              {words(span.attempt, nameOf(span.attempt), trans)}
            </div>
          ))}
        </div>
      </div>
      {over && (
        <div className="cv-tip" style={{ left: Math.min(over.x + 12, size.width - 240), top: over.y + AXIS + 56 }} role="tooltip">
          <b>{nameOf(over.span.attempt)}</b> <span className="cv-mono cv-mute">{over.span.attempt.node}</span>
          <div>{model.givenOf(over.span.attempt.node)}</div>
          <div className="cv-mute">{words(over.span.attempt, '', trans)}</div>
        </div>
      )}
    </div>
  );
}

/** What the three heights of a bar mean. */
function Legend(): JSX.Element {
  const trans = useTrans();
  return (
    <span className="cv-keys">
      <span>
        <i className="cv-keyWaited" /> {trans.__('waited')}
      </span>
      <span>
        <i className="cv-keyRan" /> {trans.__('ran')}
      </span>
      <span>
        <i className="cv-keyBeside" /> {trans.__('values and imports')}
      </span>
    </span>
  );
}

function words(attempt: Attempt, name: string, trans: Trans): string {
  const state = stateFor(attempt.status as Status, false, trans);
  const { queued, started, ended } = attempt;
  return [
    name && `${name} ${attempt.node}`,
    attempt.attempt > 1 && trans.__('attempt %1', attempt.attempt),
    attempt.status === 'INTERRUPTED' ? trans.__('interrupted') : state.word,
    started !== null && queued !== null && started > queued && trans.__('waited %1', duration(started - queued)),
    started !== null && ended !== null && trans.__('ran %1', duration(attempt.duration ?? ended - started)),
    beside(attempt) >= 0.001 && trans.__('%1 for values and imports', duration(beside(attempt))),
    started !== null && trans.__('from %1', clockSeconds(started)),
    attempt.error_type && `${attempt.error_type}: ${attempt.error_message ?? ''}`
  ]
    .filter(Boolean)
    .join(', ');
}

/** Seconds of an attempt that were not the user's function. */
function beside({ started, ended, duration }: Attempt): number {
  return started !== null && ended !== null && typeof duration === 'number' ? Math.max(0, ended - started - duration) : 0;
}

function clamped(range: Range, whole: Range): Range {
  const length = Math.min(range.to - range.from, whole.to - whole.from);
  const from = Math.max(whole.from, Math.min(range.from, whole.to - length));
  return { from, to: from + length };
}

interface AxisProps {
  /** Seconds after `zero`. */
  ticks: number[];
  step: number;
  zero: number;
  px: (time: number) => number;
  width: number;
}

/** Half of the width that the widest label takes: nearer to the right edge there is none. */
const HALF = 22;

function Axis({ ticks, step, zero, px, width }: AxisProps): JSX.Element {
  return (
    <div className="cv-axis" aria-hidden="true">
      {ticks
        .filter(tick => px(zero + tick) <= width - HALF)
        .map(tick => (
          <span key={tick} style={{ left: lineAt(px(zero + tick)) }} title={clockSeconds(zero + tick)}>
            {tick < 0 ? `−${told(-tick, step)}` : told(tick, step)}
          </span>
        ))}
    </div>
  );
}

function told(seconds: number, step: number): string {
  if (step < 0.001) {
    return `${(seconds * 1000).toFixed(1)} ms`;
  }
  if (step < 1) {
    return seconds < 1 && step < 0.1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(step < 0.1 ? 2 : 1)} s`;
  }
  return seconds < 60 ? `${Math.round(seconds)} s` : elapsed(seconds);
}
