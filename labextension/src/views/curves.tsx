import * as React from 'react';

import { elapsed } from '../format';
import { useTrans } from './context';

/** Index, time (seconds since the epoch) and value of each report. */
export type Series = [number, number, number | null][];

export interface Bar {
  done?: number;
  total?: number | null;
  elapsed?: number | null;
  name?: string;
}

/** Answer of `dispatches/{id}/electrons/{node}/metrics`, as far as it is drawn. */
export interface Metrics {
  series: Record<string, Series>;
  /** Reports in all. */
  total?: number;
  /** The newest report, texts included. */
  last?: Record<string, unknown>;
  bar: Bar | null;
  /** All of them, outermost first. */
  bars?: Bar[];
}

const WIDTH = 280;
const HEIGHT = 72;

/** What an electron reports: its bars, a curve per number, the last word of everything else. */
export function MetricsView({ metrics }: { metrics: Metrics }): JSX.Element {
  const steps = metrics.series.step;
  const curves = Object.entries(metrics.series)
    .filter(([name]) => name !== 'step')
    .map(([name, series]) => ({ name, points: numbers(series, steps) }));
  const drawn = new Set(curves.filter(curve => curve.points.length > 1).map(curve => curve.name));
  const told = Object.entries(metrics.last ?? {}).filter(([name]) => !drawn.has(name) && name !== 'step');
  const bars = metrics.bars?.length ? metrics.bars : metrics.bar ? [metrics.bar] : [];
  return (
    <div className="cv-metrics">
      {bars.map((bar, i) => (
        <ProgressBar key={i} {...bar} />
      ))}
      {curves.map(({ name, points }) => points.length > 1 && <Curve key={name} name={name} points={points} />)}
      {told.map(([name, value]) => (
        <div key={name} className="cv-pair">
          <span className="cv-mute">{name}</span> <span className="cv-mono">{String(value)}</span>
        </div>
      ))}
    </div>
  );
}

/** Points with the step as x where one was reported with each, else the number of the report. */
export function numbers(series: Series, steps?: Series): [number, number][] {
  const byIndex = new Map(steps?.map(([index, , step]) => [index, step]));
  const points: [number, number][] = [];
  for (const [index, , value] of series) {
    const step = byIndex.get(index);
    if (typeof value === 'number' && Number.isFinite(value)) {
      points.push([typeof step === 'number' ? step : index, value]);
    }
  }
  return points;
}

export function ProgressBar({ done = 0, total, elapsed: seconds, name }: Bar): JSX.Element {
  const trans = useTrans();
  const part = total ? Math.min(1, done / total) : 0;
  const left = seconds && total && done > 0 && done < total ? (seconds / done) * (total - done) : null;
  return (
    <div className="cv-progress">
      <div
        className="cv-bar"
        role="progressbar"
        aria-valuemin={0}
        aria-valuemax={total ?? undefined}
        aria-valuenow={done}
        aria-label={trans.__('Progress of the electron')}
      >
        <i className="cv-running" style={{ width: `${100 * part}%` }} />
      </div>
      <span className="cv-mute cv-number">
        {name && `${name} `}
        {total ? `${done} / ${total}` : done}
        {left !== null && ` · ${trans.__('about %1 left', elapsed(left))}`}
      </span>
    </div>
  );
}

/** A line through points; the value under the pointer is told. */
export function Curve({ name, points }: { name: string; points: [number, number][] }): JSX.Element {
  const [at, setAt] = React.useState<number | null>(null);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, right] = range(xs);
  const [low, high] = range(ys);
  const px = (x: number) => ((x - left) / (right - left || 1)) * WIDTH;
  const py = (y: number) => HEIGHT - 4 - ((y - low) / (high - low || 1)) * (HEIGHT - 8);
  const path = points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join('');
  const shown = points[at ?? points.length - 1];
  const onMove = (event: React.PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = left + ((event.clientX - box.left) / box.width) * (right - left);
    setAt(xs.reduce((best, each, i) => (Math.abs(each - x) < Math.abs(xs[best] - x) ? i : best), 0));
  };
  return (
    <figure className="cv-curve">
      <figcaption>
        <span>{name}</span>
        <span className="cv-mono cv-number">
          {at !== null && <span className="cv-mute">{short(shown[0])}: </span>}
          {short(shown[1])}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}: ${points.length} points, ${short(low)} to ${short(high)}, last ${short(ys[ys.length - 1])}`}
        onPointerMove={onMove}
        onPointerLeave={() => setAt(null)}
      >
        <path d={path} vectorEffect="non-scaling-stroke" />
        {at !== null && <line x1={px(shown[0])} x2={px(shown[0])} y1={0} y2={HEIGHT} vectorEffect="non-scaling-stroke" />}
      </svg>
      <div className="cv-range cv-mute" aria-hidden="true">
        <span>{short(high)}</span>
        <span>{short(low)}</span>
      </div>
    </figure>
  );
}

export function range(values: readonly number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

/** 0.00012345 -> "0.000123", 123456.7 -> "123457". */
export function short(value: number): string {
  if (Number.isInteger(value)) {
    return String(value);
  }
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}
