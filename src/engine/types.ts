/** The typed face of the native engine. Arguments are checked on this side; the addon trusts its caller. */

/**
 * A flat batch without padding: sequences stand end to end and never see each other.
 *
 * `targets[i]` is the token that position i has to predict (the next token of its sequence); the last position of each
 * sequence predicts nothing. All per-token arrays have `tokens.length` entries.
 */
export interface Batch {
  readonly tokens: Int32Array;
  /** Start of each sequence and, last, `tokens.length`: sequences + 1 entries, strictly increasing from 0. */
  readonly offsets: Int32Array;
  readonly targets: Int32Array;
  /** Loss weight of each position; 0 means that its row never reaches the vocabulary projection for training. */
  readonly weights: Float32Array;
  /**
   * `TokenGroup` of each position's target: 0 is neither trained nor measured; 1 prompt, 2 completion. A position with a
   * group and weight 0 is measured only (forward, no gradient).
   */
  readonly groups: Uint8Array;
}

/** Sums over the positions of one group. */
export interface GroupStats {
  readonly tokens: number;
  /** Sum of −log p(target), nats. */
  readonly loss: number;
  /** Sum of the entropies of the predicted distributions, nats. */
  readonly entropy: number;
  /** Positions whose most likely token is the target. */
  readonly correct: number;
}

export interface BatchStats {
  /** Sum of weight × −log p(target). */
  readonly weightedLoss: number;
  /** Sum of weights. */
  readonly weight: number;
  readonly prompt: GroupStats;
  readonly completion: GroupStats;
}

/** Per position; 0 where the position's group is 0. */
export interface TokenStats {
  readonly loss: Float32Array;
  readonly entropy: Float32Array;
  readonly correct: Uint8Array;
}

export interface AdapterOptions {
  readonly r: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Module names as PEFT has them: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`; or `all-linear`. */
  readonly targetModules: readonly string[];
}

export interface OpenOptions {
  /** A Hugging Face model folder: `config.json` and safetensors; or a PEFT adapter folder if `adapter` is a string. */
  readonly directory: string;
  /** `cpu`; `cuda:0` when the engine has CUDA. */
  readonly device: string;
  /**
   * Of matrix products and what goes into them; sums, statistics, trained weights and the optimizer are fp32 all the same. `bf16` needs
   * a processor with AVX512-BF16 (`avx512_bf16` among the device's features).
   */
  readonly precision: 'fp32' | 'bf16';
  /** Threads of the CPU backend; 0 means one for each core. */
  readonly threads: number;
  /** Seeds adapter initialisation and dropout. */
  readonly seed: number;
  /** `train` allocates gradients and optimizer state; `infer` does not. */
  readonly mode: 'train' | 'infer';
  /** A new adapter to train, or the folder of an existing PEFT adapter to load (and train, in `train` mode). */
  readonly adapter?: AdapterOptions | string;
  /** Draw fresh weights as `config.json` says (`initializer_range`) instead of reading safetensors. For pre-training. */
  readonly initialize?: boolean;
  /**
   * Of so many layers, from the first on (true: of all), keep the input alone, and make the rest again in the backward pass: the same
   * numbers, less memory, with all of them a third more work.
   */
  readonly checkpointing?: boolean | number;
  /** Of AdamW's moments; left out: fp32. In bf16 they take half the memory and are rounded at random, so that small changes add up. */
  readonly moments?: 'fp32' | 'bf16';
  /** Bytes of working memory to take at once, as `planMemory` gave them. */
  readonly working?: number;
}

/** The largest batch of its kind. */
export interface BatchShape {
  readonly tokens: number;
  /** Tokens of one sequence. */
  readonly longest: number;
  /** Positions with a loss, and positions that are measured only. */
  readonly trained: number;
  readonly measured: number;
}

/** The largest of everything that a model will be asked to do. */
export interface Work {
  readonly training: BatchShape;
  readonly evaluation: BatchShape;
  /** Of one call of `generate`; 0: none. */
  readonly prompts: number;
  readonly promptLength: number;
  readonly newTokens: number;
}

/** Bytes of a device's memory. Weights that are used in their file are not in it. */
export interface MemoryPlan {
  readonly weights: number;
  /** Gradients and moments. */
  readonly training: number;
  /** Activations, and whatever else lives for one batch. */
  readonly working: number;
  /** Everything at the worst moment, the caches of generation too. */
  readonly peak: number;
  /** Layers of the model. */
  readonly layers: number;
}

export interface UpdateOptions {
  readonly learningRate: number;
  /** 0 turns clipping off. */
  readonly maxGradNorm: number;
  /** Decoupled; applied to matrices only, never to norms and biases (as Hugging Face Trainer does). */
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export interface UpdateStats {
  /** Global norm of the gradient (already divided by the step's loss weight), before clipping. */
  readonly gradientNorm: number;
  /** False where the norm was not finite: nothing was updated then. */
  readonly finite: boolean;
}

export interface GenerateOptions {
  readonly maxNewTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** Every sequence draws from a stream of its own, by this and its place in the list; unless there are `seeds`. */
  readonly seed: number;
  /** One for each prompt: what it draws does not depend on its place then, nor on how prompts are split into calls. */
  readonly seeds?: readonly number[];
  /** Generation of a sequence ends with (and includes) any of these. */
  readonly stopTokens: Int32Array;
}

export interface Generated {
  readonly tokens: Int32Array;
  /** Entropy in nats of the distribution (at temperature 1) each token was drawn from. */
  readonly entropies: Float32Array;
  /** Log probability of each token at temperature 1. */
  readonly logProbabilities: Float32Array;
  readonly finish: 'stop' | 'length';
}

export interface ModelInfo {
  /** As in `config.json`, for instance `Qwen3ForCausalLM`. */
  readonly architecture: string;
  readonly parameters: number;
  readonly trainableParameters: number;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly maxPositions: number;
  readonly tiedEmbeddings: boolean;
}

export interface Memory {
  /** Bytes held by the engine now, and the most it ever held. */
  readonly current: number;
  readonly peak: number;
}

export interface Device {
  /** `cpu`, `cuda:0`. */
  readonly id: string;
  readonly name: string;
  /** Bytes. */
  readonly memory: number;
  /** GPU: the newest CUDA that the driver knows, and the card's compute capability, for instance `13.0` and `9.0`. */
  readonly driver?: string;
  readonly capability?: string;
  /** GPU: the driver's own version, and bytes of memory that nobody has taken; where they are told. */
  readonly driverVersion?: string;
  readonly free?: number;
  /** CPU: cores that may be used. */
  readonly cores?: number;
  /** Instruction sets that matter for matrix products, for instance `avx512_bf16`. */
  readonly features?: readonly string[];
}

/** What keeps this engine from training on an NVIDIA card here. */
export interface WithoutCuda {
  readonly reason: string;
  /** What to do about it, where that is known. */
  readonly advice?: string;
  /** Whether there is a driver: then somebody will expect that its card is used. */
  readonly driver: boolean;
}

/** Of a GPU, by all processes. */
export interface DeviceUse {
  /** Share of the last moments in which it computed. */
  readonly busy: number;
  /** Bytes taken. */
  readonly memory: number;
}

export interface Model {
  readonly info: ModelInfo;
  /** Forward and backward; adds to the gradient and to the step's weight. */
  accumulate(batch: Batch): Promise<BatchStats>;
  /** Divides the gradient by the step's weight, clips, updates by AdamW, clears the gradient. */
  update(options: UpdateOptions): Promise<UpdateStats>;
  /** Forward only. Dropout is off. */
  evaluate(batch: Batch): Promise<TokenStats>;
  generate(prompts: readonly Int32Array[], options: GenerateOptions): Promise<Generated[]>;
  /** Writes `model.safetensors` (sharded with an index above 5 GB) or `adapter_model.safetensors` + `adapter_config.json`. */
  save(directory: string): Promise<void>;
  /** Writes `optimizer.safetensors`: moments and the step count; with `save`, all that exact resume needs. */
  saveState(directory: string): Promise<void>;
  loadState(directory: string): Promise<void>;
  memory(): Memory;
  /** Calls off what the model does now, if anything: its promise rejects, within the time of a layer. What waits is done. */
  interrupt(): void;
  close(): Promise<void>;
}
