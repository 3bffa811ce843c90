import { State } from '../../states';
import { CELL, Line, Scene, Shape } from './scene';

/** How the scene lies in the view: a point p of it is drawn at `p * scale + (x, y)`. */
export interface View {
  x: number;
  y: number;
  scale: number;
}

/** What a shape says. */
export interface Face {
  state: State;
  title: string;
  detail: string;
  /** Marks: an opened or closed sublattice. */
  mark: string;
}

export interface Palette {
  ground: string;
  text: string;
  mute: string;
  line: string;
  frame: string;
  chosen: string;
  colours: Record<State['colour'], string>;
  font: string;
}

interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Emphasis {
  /** Id of the chosen shape. */
  chosen: string | null;
  /** Id of the one that the keyboard is at. */
  focused: string | null;
  /** Ids of what was searched for; null: no search. */
  found: ReadonlySet<string> | null;
}

/** Colours of the theme, read from an element of the view. */
export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const forced = window.matchMedia?.('(forced-colors: active)').matches;
  const token = (name: string, system: string) => (forced ? system : style.getPropertyValue(name).trim() || system);
  const mute = token('--cv-mute', 'GrayText');
  return {
    ground: token('--cv-ground', 'Canvas'),
    text: token('--jp-ui-font-color1', 'CanvasText'),
    mute,
    line: token('--jp-border-color1', 'GrayText'),
    frame: token('--cv-frame', 'CanvasText'),
    chosen: token('--cv-running', 'Highlight'),
    colours: {
      waiting: mute,
      running: token('--cv-running', 'CanvasText'),
      completed: token('--cv-completed', 'CanvasText'),
      failed: token('--cv-failed', 'CanvasText'),
      cancelled: mute,
      skipped: mute
    },
    font: style.fontFamily || 'sans-serif'
  };
}

/** Where a text that is too long loses something: titles at the end; of details the end tells as much as the beginning. */
type Cut = 'end' | 'middle';

/** How much of its colour a box has, and one that is too small for words: its colour is all that it says. */
const TINTED = 0.11;
const FILLED = 0.7;

/** Texts whose length is remembered: measuring is slow. */
const MOST_LENGTHS = 20_000;

/** Draws a scene on a canvas: what is in view, in as much detail as can be seen. */
export class Painter {
  constructor(
    private readonly context: CanvasRenderingContext2D,
    readonly palette: Palette
  ) {}

  paint(scene: Scene, view: View, width: number, height: number, face: (shape: Shape) => Face, emphasis: Emphasis): void {
    const { context } = this;
    context.clearRect(0, 0, width, height);
    context.save();
    context.translate(view.x, view.y);
    context.scale(view.scale, view.scale);
    const seen = {
      left: -view.x / view.scale,
      top: -view.y / view.scale,
      right: (width - view.x) / view.scale,
      bottom: (height - view.y) / view.scale
    };
    const shapes = scene.shapes.filter(shape => overlaps(shape, seen));
    // frames lie below the lines, so that those inside of them can be seen
    shapes.filter(isFrame).forEach(shape => this.frame(shape, face(shape), view.scale, emphasis));
    this.lines(scene, seen, view.scale, shapes.filter(shape => !isFrame(shape)));
    if (view.scale * 44 < 11) {
      this.dots(shapes, face, emphasis);
    } else {
      shapes.forEach(shape => isFrame(shape) || this.box(shape, face(shape), view.scale, emphasis));
    }
    context.restore();
  }

  private lines(scene: Scene, seen: Region, scale: number, boxes: readonly Shape[]): void {
    const { context, palette } = this;
    const near = scene.lines.filter(line => touches(line, seen));
    const simple = scale < 0.25 || near.length > 3000;
    context.strokeStyle = palette.line;
    context.lineWidth = Math.max(1.1, 0.6 / scale);
    context.globalAlpha = near.length > 3000 ? 0.35 : 1;
    context.beginPath();
    near.forEach(line => this.route(line, scene.direction === 'right', simple));
    context.stroke();
    context.globalAlpha = 1;
    if (scale > 0.55) {
      near.forEach(line => line.label && this.label(line, scene.direction === 'right', boxes));
    }
  }

  private route({ from, to, bends }: Line, right: boolean, simple: boolean): void {
    const points = [exitOf(from, right), ...bends, entryOf(to, right)];
    const { context } = this;
    context.moveTo(points[0].x, points[0].y);
    for (let i = 1; i < points.length; i++) {
      const [a, b] = [points[i - 1], points[i]];
      if (simple || (right ? a.y === b.y : a.x === b.x)) {
        context.lineTo(b.x, b.y);
      } else if (right) {
        const half = (a.x + b.x) / 2;
        context.bezierCurveTo(half, a.y, half, b.y, b.x, b.y);
      } else {
        const half = (a.y + b.y) / 2;
        context.bezierCurveTo(a.x, half, b.x, half, b.x, b.y);
      }
    }
  }

  /** Where edges have not come together yet; none where a box would cover a part of it. */
  private label({ from, to, label, bends }: Line, right: boolean, boxes: readonly Shape[]): void {
    const { context, palette } = this;
    const end = entryOf(to, right);
    const start = bends[bends.length - 1] ?? exitOf(from, right);
    const t = 0.4;
    const [x, y] = [start.x + (end.x - start.x) * t, start.y + (end.y - start.y) * eased(t)];
    context.font = `10px ${palette.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const text = this.clipped(label, 90);
    const half = context.measureText(text).width / 2 + 2;
    if (boxes.some(box => overlaps(box, { left: x - half, right: x + half, top: y - 7, bottom: y + 6 }))) {
      return;
    }
    context.fillStyle = palette.ground;
    context.fillRect(x - half, y - 7, 2 * half, 13);
    context.fillStyle = palette.mute;
    context.fillText(text, x, y);
    context.textAlign = 'left';
  }

  private frame(shape: Shape, { state, title, detail, mark }: Face, scale: number, emphasis: Emphasis): void {
    const { context, palette } = this;
    const colour = palette.colours[state.colour];
    this.outline(shape, 6);
    context.fillStyle = colour;
    context.globalAlpha = 0.05;
    context.fill();
    context.globalAlpha = 1;
    this.border(shape, colour, state, emphasis, 1);
    if (scale * 44 >= 11) {
      this.text(`${state.sign} ${title} ${mark}`, shape.x + 10, shape.y + 13, shape.width - 20, 12, palette.text);
      const used = context.measureText(`${state.sign} ${title} ${mark}`).width + 24;
      if (detail && shape.width - used > 60) {
        this.text(detail, shape.x + used, shape.y + 13, shape.width - used - 8, 10, palette.mute, 'middle');
      }
    }
  }

  private box(shape: Shape, face: Face, scale: number, emphasis: Emphasis): void {
    const { context, palette } = this;
    const { state, title, detail, mark } = face;
    const colour = palette.colours[state.colour];
    context.globalAlpha = this.faded(shape, emphasis) ? 0.3 : 1;
    const front = shape.role === 'stack' ? { ...shape, y: shape.y + 6, width: shape.width - 6, height: shape.height - 6 } : shape;
    if (shape.role === 'stack') {
      for (const step of [6, 3]) {
        this.outline({ ...front, x: front.x + step, y: front.y - step }, 4);
        this.fill(state, colour);
        this.border(shape, colour, state, { chosen: null, focused: null, found: null }, 1);
      }
    }
    this.outline(front, shape.role === 'cell' ? 3 : 4);
    const wordless = shape.role === 'cell' && scale * CELL.height < 11;
    this.fill(state, colour, wordless ? FILLED : TINTED);
    this.border(shape, colour, state, emphasis, 1.2);
    if (wordless) {
      context.globalAlpha = 1;
      if (shape.id === emphasis.chosen) {
        this.ring(shape);
      }
      return;
    }
    if (shape.role === 'cell') {
      const room = front.width - 9 - (mark ? 14 : 0);
      this.signed(state, colour, detail || title, front.x + 5, front.y + 10.5, room, 10, 'middle');
      this.text(mark, front.x + front.width - 14, front.y + 10.5, 14, 10, palette.mute);
    } else if (scale * 44 >= 24) {
      this.signed(state, colour, `${title}${mark && ` ${mark}`}`, front.x + 10, front.y + 16, front.width - 18, 12);
      this.text(detail, front.x + 25, front.y + 32, front.width - 32, 10, palette.mute, 'middle');
    } else {
      this.signed(state, colour, title, front.x + 10, front.y + front.height / 2 + 1, front.width - 16, 18);
    }
    context.globalAlpha = 1;
  }

  /** From afar a box is its colour. */
  private dots(shapes: Shape[], face: (shape: Shape) => Face, emphasis: Emphasis): void {
    const { context, palette } = this;
    const byColour = new Map<string, Shape[]>();
    for (const shape of shapes) {
      if (!isFrame(shape)) {
        const colour = palette.colours[face(shape).state.colour];
        const list = byColour.get(colour);
        if (list) {
          list.push(shape);
        } else {
          byColour.set(colour, [shape]);
        }
      }
    }
    for (const [colour, list] of byColour) {
      context.fillStyle = colour;
      for (const shape of list) {
        context.globalAlpha = this.faded(shape, emphasis) ? 0.2 : 0.75;
        context.fillRect(shape.x, shape.y, shape.width, shape.height);
      }
    }
    context.globalAlpha = 1;
    shapes.filter(({ id }) => id === emphasis.chosen).forEach(shape => this.ring(shape));
  }

  private ring({ x, y, width, height }: Shape): void {
    const { context, palette } = this;
    const wide = 3 / context.getTransform().a;
    context.strokeStyle = palette.text;
    context.lineWidth = wide * window.devicePixelRatio;
    context.strokeRect(x - wide, y - wide, width + 2 * wide, height + 2 * wide);
  }

  private faded(shape: Shape, { found }: Emphasis): boolean {
    return found !== null && !found.has(shape.id);
  }

  private outline({ x, y, width, height }: { x: number; y: number; width: number; height: number }, radius: number): void {
    this.context.beginPath();
    this.context.roundRect(x, y, width, height, radius);
  }

  private fill(state: State, colour: string, strength = TINTED): void {
    const { context, palette } = this;
    const alpha = context.globalAlpha;
    context.fillStyle = palette.ground;
    context.fill();
    if (state.colour !== 'waiting' && state.colour !== 'skipped') {
      context.fillStyle = colour;
      context.globalAlpha = alpha * strength;
      context.fill();
      context.globalAlpha = alpha;
    }
  }

  private border(shape: Shape, colour: string, state: State, { chosen, focused }: Emphasis, width: number): void {
    const { context, palette } = this;
    context.strokeStyle = state.colour === 'waiting' ? palette.line : colour;
    context.setLineDash(state.colour === 'skipped' ? [4, 3] : []);
    context.lineWidth = shape.id === chosen ? 2.8 : width;
    context.stroke();
    context.setLineDash([]);
    if (shape.id === focused) {
      context.strokeStyle = palette.chosen;
      context.lineWidth = 1.5;
      context.setLineDash([2, 2]);
      context.strokeRect(shape.x - 4, shape.y - 4, shape.width + 8, shape.height + 8);
      context.setLineDash([]);
    }
  }

  private signed(state: State, colour: string, text: string, x: number, y: number, room: number, size: number, cut: Cut = 'end'): void {
    const { context, palette } = this;
    context.font = `bold ${size}px ${palette.font}`;
    context.textBaseline = 'middle';
    context.fillStyle = colour;
    context.fillText(state.sign, x, y);
    const wide = size * 1.25;
    this.text(text, x + wide, y, room - wide, size, palette.text, cut);
  }

  private text(text: string, x: number, y: number, room: number, size: number, colour: string, cut: Cut = 'end'): void {
    const { context, palette } = this;
    context.font = `${size}px ${palette.font}`;
    context.textBaseline = 'middle';
    context.fillStyle = colour;
    context.fillText(this.clipped(text, room, cut), x, y);
  }

  /** The text with an ellipsis where the room ends, or in its middle. */
  private clipped(text: string, room: number, cut: Cut = 'end'): string {
    const { context, lengths } = this;
    const key = `${context.font}\u0000${cut}${Math.round(room)}\u0000${text}`;
    const known = lengths.get(key);
    if (known !== undefined) {
      return known;
    }
    let shown = text.length > 400 ? text.slice(0, 400) : text;
    if (context.measureText(shown).width > room) {
      let [low, high] = [0, shown.length];
      while (low < high) {
        const half = Math.ceil((low + high) / 2);
        if (context.measureText(cutText(shown, half, cut)).width <= room) {
          low = half;
        } else {
          high = half - 1;
        }
      }
      shown = low > 0 ? cutText(shown, low, cut) : '';
    }
    if (lengths.size > MOST_LENGTHS) {
      lengths.clear();
    }
    lengths.set(key, shown);
    return shown;
  }

  private readonly lengths = new Map<string, string>();
}

/** This many characters of a text, and an ellipsis for the others. */
function cutText(text: string, count: number, cut: Cut): string {
  const end = cut === 'middle' ? Math.floor(count / 2) : 0;
  return `${text.slice(0, count - end)}…${text.slice(text.length - end)}`;
}

function isFrame(shape: Shape): boolean {
  return shape.role === 'frame' || shape.role === 'grid';
}

function eased(t: number): number {
  return t * t * (3 - 2 * t);
}

function overlaps({ x, y, width, height }: Shape, { left, top, right, bottom }: Region): boolean {
  return x < right && x + width > left && y < bottom && y + height > top;
}

function touches({ from, to }: Line, seen: Region): boolean {
  return (
    Math.min(from.x, to.x) < seen.right &&
    Math.max(from.x + from.width, to.x + to.width) > seen.left &&
    Math.min(from.y, to.y) < seen.bottom &&
    Math.max(from.y + from.height, to.y + to.height) > seen.top
  );
}

function exitOf(shape: Shape, right: boolean): { x: number; y: number } {
  const lift = shape.role === 'stack' ? 3 : 0;
  return right
    ? { x: shape.x + shape.width, y: shape.y + shape.height / 2 + lift }
    : { x: shape.x + shape.width / 2, y: shape.y + shape.height };
}

function entryOf(shape: Shape, right: boolean): { x: number; y: number } {
  const lift = shape.role === 'stack' ? 3 : 0;
  return right
    ? { x: shape.x, y: shape.y + shape.height / 2 + lift }
    : { x: shape.x + shape.width / 2, y: shape.y + lift };
}
