import * as React from 'react';

import { partsOf } from '../telling';
import { Status } from '../types';
import { stateFor, Trans } from '../states';
import { usePalette } from './graph/palette';
import { Attempt, Lanes, Span } from './lanes';

/** Height of a lane, and width of the column with the names of workers, in pixels. */
export const LANE = 22;
export const LABEL = 150;

/** Seconds since the epoch. */
export interface Range {
  from: number;
  to: number;
}

/** Where a line of one pixel is sharp. */
export function lineAt(x: number): number {
  return Math.round(x) + 0.5;
}

/** A canvas of this size, painted after each drawing of its view. */
export function useChart(width: number, height: number, paint: (context: CanvasRenderingContext2D) => void): React.RefObject<HTMLCanvasElement> {
  const canvas = React.useRef<HTMLCanvasElement>(null);
  React.useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || width === 0) {
      return;
    }
    const ratio = window.devicePixelRatio || 1;
    // browsers draw nothing on a canvas that is too high
    const shown = Math.min(height, 16_000);
    context.canvas.width = width * ratio;
    context.canvas.height = shown * ratio;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(context);
  });
  return canvas;
}

type Palette = ReturnType<typeof usePalette>;

export function drawTicks(context: CanvasRenderingContext2D, places: readonly number[], height: number, palette: Palette): void {
  context.strokeStyle = palette.line;
  context.globalAlpha = 0.35;
  context.beginPath();
  for (const place of places) {
    context.moveTo(lineAt(place), 0);
    context.lineTo(lineAt(place), height);
  }
  context.stroke();
  context.globalAlpha = 1;
}

export function drawSpans(
  context: CanvasRenderingContext2D,
  spans: readonly Span[],
  px: (t: number) => number,
  palette: Palette,
  chosen: number | null,
  over: Span | null,
  width: number,
  range: Range,
  trans: Trans,
  labelsOf: (attempt: Attempt) => string[]
): void {
  const few = spans.length <= 400;
  const next = nextOf(spans);
  context.font = `11px ${palette.font}`;
  context.textBaseline = 'middle';
  context.save();
  context.beginPath();
  context.rect(LABEL, 0, width - LABEL, spans.length * LANE + LANE);
  context.clip();
  for (const span of spans) {
    const { attempt } = span;
    if (span.to < range.from || span.from > range.to) {
      continue;
    }
    const picked = attempt.node === chosen || span === over;
    const [x, y] = [px(span.from), span.lane * LANE + 4];
    const wide = Math.max(1.5, px(span.to) - x);
    const colour = palette.colours[attempt.status === 'INTERRUPTED' ? 'cancelled' : stateFor(attempt.status as Status, false, trans).colour];
    if (attempt.queued !== null && attempt.queued < span.from && (few || picked)) {
      context.strokeStyle = palette.mute;
      context.globalAlpha = picked ? 1 : 0.45;
      context.beginPath();
      context.moveTo(px(attempt.queued), y + 12.5);
      context.lineTo(x, y + 12.5);
      context.stroke();
    }
    context.fillStyle = colour;
    context.globalAlpha = picked ? 0.95 : 0.6;
    const worked = Math.max(1.5, Math.min(wide, px(span.worked) - x));
    context.fillRect(x, y, worked, LANE - 8);
    context.fillRect(x + worked, y + 4, wide - worked, LANE - 16);
    context.globalAlpha = 1;
    if (picked) {
      context.strokeStyle = palette.text;
      context.lineWidth = 1.5;
      context.strokeRect(x - 1, y - 1, wide + 2, LANE - 6);
    }
    const after = next.get(span);
    const free = few ? Math.min(width, after ? px(after.from) : width) : x + wide;
    const bar = { from: Math.max(x, LABEL), worked: Math.min(x + worked, width), to: x + wide, free };
    const label = labelOf(bar, labelsOf(attempt), text => context.measureText(text).width);
    if (label) {
      context.save();
      context.beginPath();
      context.rect(label.x, y - 2, label.room, LANE - 4);
      context.clip();
      context.fillStyle = label.x >= bar.to ? palette.mute : palette.text;
      context.fillText(label.text, label.x, y + 7.5);
      context.restore();
    }
  }
  context.restore();
}

/** What comes behind each in its lane. */
function nextOf(spans: readonly Span[]): Map<Span, Span> {
  const found = new Map<Span, Span>();
  const last = new Map<number, Span>();
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const before = last.get(span.lane);
    if (before) {
      found.set(before, span);
    }
    last.set(span.lane, span);
  }
  return found;
}

/** A bar in pixels: where it begins, where its full height and where it ends, and up to where its lane is free behind it. */
export interface Bar {
  from: number;
  worked: number;
  to: number;
  free: number;
}

/** Pixels around a label, and those that a bar needs to bear a part of one. */
const AROUND = 4;
const READABLE = 46;

/** Names that one node alone has. */
export function onlyOnes(named: readonly [string, number][]): Set<string> {
  const nodes = new Map<string, number>();
  const several = new Set<string>();
  for (const [name, node] of named) {
    if (nodes.has(name) && nodes.get(name) !== node) {
      several.add(name);
    }
    nodes.set(name, node);
  }
  return new Set([...nodes.keys()].filter(name => !several.has(name)));
}

/** What a bar says, and what it says in less and less room: one that is alone its name, others what tells them apart. */
export function labelTexts(name: string, inputs: string, alone: boolean): string[] {
  if (!inputs) {
    return [name];
  }
  const values = partsOf(inputs).map(([, value]) => value);
  return alone ? [`${name}  ${inputs}`, name] : [`${name}  ${inputs}`, inputs, values.join(', ')];
}

/** The first of these texts that has its place: in the bar's full height, else behind the bar; else the beginning of the last. */
export function labelOf(
  { from, worked, to, free }: Bar,
  texts: readonly string[],
  widthOf: (text: string) => number
): { text: string; x: number; room: number } | null {
  const inside = { x: from + AROUND, room: worked - from - 2 * AROUND + 1 };
  const behind = { x: to + AROUND + 1, room: free - to - 2 * AROUND - 1 };
  for (const text of texts) {
    const place = [inside, behind].find(({ room }) => room > AROUND && widthOf(text) <= room);
    if (place && text) {
      return { text, ...place };
    }
  }
  const last = texts[texts.length - 1];
  return last && worked - from > READABLE ? { text: last, ...inside } : null;
}

export function drawLabels(context: CanvasRenderingContext2D, lanes: Lanes, palette: Palette): void {
  context.fillStyle = palette.mute;
  context.font = `11px ${palette.font}`;
  context.textBaseline = 'middle';
  context.save();
  context.beginPath();
  context.rect(0, 0, LABEL - 8, lanes.lanes.length * LANE);
  context.clip();
  lanes.lanes.forEach(({ label }, i) => context.fillText(label, 12, i * LANE + 11.5));
  context.restore();
}
