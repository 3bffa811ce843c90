/** A layered layout (Sugiyama's): pure, and cut in steps, so that a large graph stops nobody. */

export interface Box {
  width: number;
  height: number;
}

export interface Edge {
  from: number;
  to: number;
}

export type Direction = 'right' | 'down';

export interface Layout {
  /** Upper left corners, one per box. */
  places: { x: number; y: number }[];
  /** One per edge: points between its ends, through which it goes. */
  bends: { x: number; y: number }[][];
  width: number;
  height: number;
}

/** Room between boxes of a layer, and between layers. */
const GAP = 18;
const LAYER_GAP = 58;
/** Room of an edge that passes a layer. */
const PASSING = 8;
/** A layer with more boxes than this is laid in several columns where it would be much higher than the rest is wide. */
const WRAP = 48;
/** Vertices that are looked at between two pauses. */
const SLICE = 4000;

/** Lay boxes out; `next()` does a part of the work. */
export function* layoutSteps(boxes: readonly Box[], edges: readonly Edge[], direction: Direction): Generator<void, Layout> {
  const turned = direction === 'down';
  const sizes = boxes.map(({ width, height }) => (turned ? { width: height, height: width } : { width, height }));
  const work = new Layered(sizes, edges);
  yield* work.run();
  const { places, bends, width, height } = work;
  if (!turned) {
    return { places, bends, width, height };
  }
  const turn = ({ x, y }: { x: number; y: number }) => ({ x: y, y: x });
  return { places: places.map(turn), bends: bends.map(list => list.map(turn)), width: height, height: width };
}

/** The whole layout at once. */
export function layout(boxes: readonly Box[], edges: readonly Edge[], direction: Direction = 'right'): Layout {
  const steps = layoutSteps(boxes, edges, direction);
  for (;;) {
    const step = steps.next();
    if (step.done) {
      return step.value;
    }
  }
}

/** From left to right. Vertices are the boxes and, behind them, the places where edges pass a layer. */
class Layered {
  places: { x: number; y: number }[] = [];
  bends: { x: number; y: number }[][] = [];
  width = 0;
  height = 0;

  constructor(
    private readonly boxes: readonly Box[],
    private readonly edges: readonly Edge[]
  ) {}

  *run(): Generator<void, void> {
    const n = this.boxes.length;
    this.places = Array.from({ length: n }, () => ({ x: 0, y: 0 }));
    this.bends = this.edges.map(() => []);
    this.heights = this.boxes.map(box => box.height);
    this.rank();
    yield;
    this.addPassing();
    yield;
    yield* this.order();
    yield* this.align();
    yield* this.place();
  }

  /** The layer of each box: one behind its last parent; what has no parent stands just before its first child. */
  private rank(): void {
    const n = this.boxes.length;
    const out: number[][] = Array.from({ length: n }, () => []);
    const left = new Int32Array(n);
    this.edges.forEach(({ from, to }) => {
      out[from].push(to);
      left[to] += 1;
    });
    const isolated = (i: number) => left[i] === 0 && out[i].length === 0;
    this.loose = this.boxes.map((_, i) => i).filter(isolated);
    const sources = this.boxes.map((_, i) => i).filter(i => left[i] === 0);
    this.layerOf = new Array<number>(n).fill(0);
    const queue = [...sources];
    for (let at = 0; at < queue.length; at++) {
      for (const to of out[queue[at]]) {
        this.layerOf[to] = Math.max(this.layerOf[to], this.layerOf[queue[at]] + 1);
        left[to] -= 1;
        if (left[to] === 0) {
          queue.push(to);
        }
      }
    }
    for (const i of sources) {
      if (out[i].length > 0) {
        this.layerOf[i] = Math.max(0, Math.min(...minimum(out[i], this.layerOf)) - 1);
      }
    }
    if (this.loose.length < n && this.loose.length > 3) {
      this.loose.forEach(i => (this.layerOf[i] = -1)); // they get a block of their own
    } else {
      this.loose = [];
    }
  }

  /** Where an edge passes layers it gets a vertex in each; edges of one origin share them. */
  private addPassing(): void {
    this.above = this.boxes.map(() => []);
    this.below = this.boxes.map(() => []);
    const passing = new Map<string, number>();
    this.route = this.edges.map(({ from, to }) => {
      let last = from;
      const route: number[] = [];
      for (let layer = this.layerOf[from] + 1; layer < this.layerOf[to]; layer++) {
        const key = `${from} ${layer}`;
        let vertex = passing.get(key);
        if (vertex === undefined) {
          vertex = this.layerOf.length;
          passing.set(key, vertex);
          this.layerOf.push(layer);
          this.heights.push(PASSING);
          this.above.push([]);
          this.below.push([]);
          this.connect(last, vertex);
        }
        route.push(vertex);
        last = vertex;
      }
      this.connect(last, to);
      return route;
    });
    this.layers = [];
    this.layerOf.forEach((layer, vertex) => {
      if (layer >= 0) {
        (this.layers[layer] = this.layers[layer] ?? []).push(vertex);
      }
    });
    for (let layer = 0; layer < this.layers.length; layer++) {
      this.layers[layer] = this.layers[layer] ?? [];
    }
  }

  private connect(from: number, to: number): void {
    this.below[from].push(to);
    this.above[to].push(from);
  }

  /** Fewer crossings: each layer by the mean place of its neighbours, to and fro. */
  private *order(): Generator<void, void> {
    const place = new Float64Array(this.layerOf.length);
    const settle = (layer: number[]) => layer.forEach((vertex, i) => (place[vertex] = (i + 0.5) / layer.length));
    this.layers.forEach(settle);
    const rounds = this.layerOf.length > 4000 ? 3 : 10;
    let seen = 0;
    for (let round = 0; round < rounds; round++) {
      const down = round % 2 === 0;
      const neighbours = down ? this.above : this.below;
      for (let step = 0; step < this.layers.length; step++) {
        const layer = this.layers[down ? step : this.layers.length - 1 - step];
        const wish = new Map(layer.map(vertex => [vertex, mean(neighbours[vertex], place) ?? place[vertex]]));
        layer.sort((a, b) => wish.get(a)! - wish.get(b)! || place[a] - place[b]);
        settle(layer);
        seen += layer.length;
        if (seen > SLICE) {
          seen = 0;
          yield;
        }
      }
    }
  }

  /** Heights: as near to the neighbours as the others of the layer allow. */
  private *align(): Generator<void, void> {
    this.centre = new Float64Array(this.layerOf.length);
    for (const layer of this.layers) {
      let y = -total(layer, this.heights) / 2;
      for (const vertex of layer) {
        this.centre[vertex] = y + this.heights[vertex] / 2;
        y += this.heights[vertex] + GAP;
      }
    }
    const rounds = this.layerOf.length > 4000 ? 4 : 12;
    let seen = 0;
    for (let round = 0; round < rounds; round++) {
      const down = round % 2 === 0;
      const last = round >= rounds - 2;
      for (let step = 0; step < this.layers.length; step++) {
        const layer = this.layers[down ? step : this.layers.length - 1 - step];
        const wish = layer.map(vertex => {
          const near = down ? this.above[vertex] : this.below[vertex];
          const all = last ? [...this.above[vertex], ...this.below[vertex]] : near;
          return mean(all, this.centre) ?? this.centre[vertex];
        });
        spread(layer, wish, this.heights, this.centre);
        seen += layer.length;
        if (seen > SLICE) {
          seen = 0;
          yield;
        }
      }
    }
  }

  private *place(): Generator<void, void> {
    let x = 0;
    const columns: number[] = [];
    const widths: number[] = [];
    for (const [index, layer] of this.layers.entries()) {
      columns[index] = x;
      widths[index] = this.wrapped(layer) ? this.wrap(layer, x) : Math.max(0, ...widest(layer, this.boxes));
      if (!this.wrapped(layer)) {
        for (const vertex of layer) {
          if (vertex < this.boxes.length) {
            this.places[vertex].x = x + (widths[index] - this.boxes[vertex].width) / 2;
            this.places[vertex].y = this.centre[vertex] - this.heights[vertex] / 2;
          }
        }
      }
      x += widths[index] + LAYER_GAP;
      if (index % 20 === 19) {
        yield;
      }
    }
    yield;
    this.bends = this.route.map(route =>
      route.flatMap(vertex => {
        const layer = this.layerOf[vertex];
        const y = this.centre[vertex];
        return [
          { x: columns[layer], y },
          { x: columns[layer] + widths[layer], y }
        ];
      })
    );
    yield;
    this.normalise();
    this.placeLoose();
  }

  private wrapped(layer: number[]): boolean {
    const boxes = layer.length > WRAP ? layer.filter(vertex => vertex < this.boxes.length) : [];
    return boxes.length > WRAP && total(boxes, this.heights) > 1.3 * this.comfortable();
  }

  /** The height at which all boxes together have about the shape of a screen. */
  private comfortable(): number {
    this.high = this.high || heightOf(this.boxes);
    return this.high;
  }

  /** A layer of very many boxes becomes a block of about the shape of a screen. */
  private wrap(layer: number[], x: number): number {
    const boxes = layer.filter(vertex => vertex < this.boxes.length);
    const passing = layer.filter(vertex => vertex >= this.boxes.length);
    const { width, height } = this.block(boxes, x, 0, this.comfortable());
    for (const vertex of boxes) {
      this.places[vertex].y -= height / 2;
    }
    passing.forEach((vertex, i) => (this.centre[vertex] = height / 2 + (i + 2) * PASSING));
    return width;
  }

  /** Boxes in columns; gives the size of all. */
  private block(boxes: number[], left: number, top: number, high: number): Box {
    const tallest = boxes.reduce((most, i) => Math.max(most, this.boxes[i].height), 0);
    const tall = Math.max(tallest, high);
    let [x, y, wide, width, height] = [left, top, 0, 0, 0];
    for (const i of boxes) {
      const box = this.boxes[i];
      if (y > top && y + box.height > top + tall) {
        x += wide + GAP;
        y = top;
        wide = 0;
      }
      this.places[i] = { x, y };
      y += box.height + GAP;
      wide = Math.max(wide, box.width);
      width = Math.max(width, x + wide - left);
      height = Math.max(height, y - GAP - top);
    }
    return { width, height };
  }

  /** The upper left corner of all is (0, 0). */
  private normalise(): void {
    let [top, left, bottom, right] = [Infinity, Infinity, -Infinity, -Infinity];
    this.places.forEach(({ x, y }, i) => {
      if (this.layerOf[i] >= 0) {
        top = Math.min(top, y);
        left = Math.min(left, x);
        bottom = Math.max(bottom, y + this.boxes[i].height);
        right = Math.max(right, x + this.boxes[i].width);
      }
    });
    this.bends.forEach(list =>
      list.forEach(({ y }) => {
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      })
    );
    if (top === Infinity) {
      return;
    }
    const shift = (point: { x: number; y: number }) => {
      point.x -= left;
      point.y -= top;
    };
    this.places.forEach(shift);
    this.bends.forEach(list => list.forEach(shift));
    this.width = right - left;
    this.height = bottom - top;
  }

  /** What is connected with nothing stands below the rest. */
  private placeLoose(): void {
    if (this.loose.length > 0) {
      const top = this.height + 2 * GAP;
      const { width, height } = this.block(this.loose, 0, top, heightOf(this.loose.map(i => this.boxes[i])));
      this.width = Math.max(this.width, width);
      this.height = top + height;
    }
  }

  private layerOf: number[] = [];
  private layers: number[][] = [];
  private heights: number[] = [];
  private above: number[][] = [];
  private below: number[][] = [];
  private route: number[][] = [];
  private centre = new Float64Array(0);
  private loose: number[] = [];
  private high = 0;
}

function heightOf(boxes: readonly Box[]): number {
  return Math.sqrt(boxes.reduce((sum, box) => sum + (box.width + GAP) * (box.height + GAP), 0) / 1.6);
}

function mean(vertices: readonly number[], values: ArrayLike<number>): number | undefined {
  if (vertices.length === 0) {
    return undefined;
  }
  let sum = 0;
  for (const vertex of vertices) {
    sum += values[vertex];
  }
  return sum / vertices.length;
}

function total(vertices: readonly number[], heights: readonly number[]): number {
  return vertices.reduce((sum, vertex) => sum + heights[vertex] + GAP, -GAP);
}

// spreading 100,000 numbers into Math.max overflows the stack: one number each

function widest(vertices: readonly number[], boxes: readonly Box[]): [number] {
  return [vertices.reduce((most, vertex) => Math.max(most, boxes[vertex]?.width ?? 0), 0)];
}

function minimum(vertices: readonly number[], values: readonly number[]): [number] {
  return [vertices.reduce((least, vertex) => Math.min(least, values[vertex]), Infinity)];
}

/**
 * Centres as near to the wishes as can be (least squares) while the order is kept and nothing overlaps: pools of vertices
 * that touch move as one.
 */
export function spread(
  layer: readonly number[],
  wish: readonly number[],
  heights: readonly number[],
  centre: Float64Array
): void {
  const pools: { sum: number; count: number; offset: number[]; from: number }[] = [];
  layer.forEach((_, i) => {
    pools.push({ sum: wish[i], count: 1, offset: [0], from: i });
    while (pools.length > 1) {
      const b = pools[pools.length - 1];
      const a = pools[pools.length - 2];
      const step =
        a.offset[a.count - 1] + heights[layer[a.from + a.count - 1]] / 2 + GAP + heights[layer[b.from]] / 2;
      if (a.sum / a.count + step <= b.sum / b.count) {
        break;
      }
      for (const offset of b.offset) {
        a.offset.push(step + offset);
      }
      a.sum += b.sum - b.count * step;
      a.count += b.count;
      pools.pop();
    }
  });
  for (const pool of pools) {
    const start = pool.sum / pool.count;
    for (let i = 0; i < pool.count; i++) {
      centre[layer[pool.from + i]] = start + pool.offset[i];
    }
  }
}
