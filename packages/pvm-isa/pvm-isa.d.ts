/** A version of the Gray Paper; "0.7" is 0.7.2. */
export type Gp = "0.7" | "0.7.2" | "0.8";

/** Without a version it is the one that the file names, or else 0.8. */
export interface Options {
  gp?: Gp;
}

export interface Block {
  pc: number;
  gas: number;
}

export interface Instruction {
  pc: number;
  /** Its bytes in hexadecimal. */
  bytes: string;
  /** False where the machine traps because there is no opcode. */
  valid: boolean;
  mnemonic: string | null;
  text: string;
  /** The position that it jumps to, if that is constant. */
  target?: number;
}

export interface Decoded {
  form: "jam" | "spi" | "raw" | "polkavm" | "corevm";
  gp: string;
  /** The machine's address of wasm address 0, if the file tells. */
  linearMemory: number | null;
  entries: { name: string; pc: number; signature: string }[];
  imports: { module: string; name: string; action: "trap" | "nop" | "ecalli" | "built in"; number?: number }[];
  functions: { pc: number; name: string }[];
  instructions: Instruction[];
  blocks: Block[];
  jumpTable: number[];
}

export interface Gas {
  gp: string;
  total: number;
  functions: { name: string; pc: number; gas: number; blocks: Block[] }[];
}

/** A program file: `.jam`, `.spi`, `.polkavm` or a bare blob, told apart by content. */
export type Program = Uint8Array | ArrayBuffer;

export interface PvmIsa {
  decode(program: Program, options?: Options): Decoded;
  disassemble(program: Program, options?: Options & { bytes?: boolean }): string;
  gas(program: Program, options?: Options): Gas;
}

/** Loads the WebAssembly module: from beside the script, or from the given source. */
export function load(
  source?: URL | string | Response | WebAssembly.Module | ArrayBuffer | ArrayBufferView,
): Promise<PvmIsa>;
