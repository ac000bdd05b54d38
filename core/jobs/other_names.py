"""What Keras, PyTorch and scikit-learn call the types, fields and places of a spec: tables for suggestions.

Keys are names as `core.spelling.plain` writes them. A name that differs only in case, separators or a few letters needs
no entry.
"""

from collections.abc import Mapping
from types import MappingProxyType


def _table(text: str) -> Mapping[str, tuple[str, ...]]:
    """Return a table from lines `known, …: other other other`; a name in several lines means each of them."""
    table: dict[str, tuple[str, ...]] = {}
    for line in text.strip().splitlines():
        known, _, others = line.partition(":")
        for other in others.split():
            table[other] = (*table.get(other, ()), known.strip())
    return MappingProxyType(table)


TYPES = _table(
    """
    dense: linear fullyconnected fc lazylinear affine
    conv1d: convolution1d lazyconv1d
    conv2d: convolution2d convolution convolutional lazyconv2d conv
    conv1d_transpose: convtranspose1d deconv1d
    conv2d_transpose: convtranspose2d deconv2d deconvolution2d
    batch_normalization: batchnorm batchnorm1d batchnorm2d bn
    layer_normalization: layernorm
    group_normalization: groupnorm
    rms_normalization: rmsnorm
    max_pooling1d: maxpool1d
    max_pooling2d: maxpool2d maxpool maxpooling
    average_pooling1d: avgpool1d
    average_pooling2d: avgpool2d averagepool2d avgpool averagepooling
    global_average_pooling1d: adaptiveavgpool1d globalaveragepool1d
    global_average_pooling2d: adaptiveavgpool2d globalaveragepool2d
    global_max_pooling1d: adaptivemaxpool1d
    global_max_pooling2d: adaptivemaxpool2d
    spatial_dropout: dropout1d dropout2d spatialdropout1d spatialdropout2d
    simple_rnn: rnn rnncell
    lstm: lstmcell cudnnlstm
    gru: grucell cudnngru
    multi_head_attention: multiheadattention attention selfattention
    up_sampling2d: upsample upsamplingnearest2d
    zero_padding2d: zeropad2d
    zero_padding1d: zeropad1d
    reshape: unflatten view
    activation: activationlayer
    gaussian_noise: noise
    residual: skip shortcut add
    parallel: concatenate concat inception
    mixture: mixtureofexperts moe
    mean_squared_error: mse mseloss l2loss squarederror squaredloss
    mean_absolute_error: mae l1loss absoluteerror
    mean_absolute_percentage_error: mape
    mean_squared_logarithmic_error: msle
    root_mean_squared_error: rmse rootmeansquarederror
    cross_entropy: crossentropyloss categoricalcrossentropy sparsecategoricalcrossentropy
    cross_entropy: nllloss nll softmaxcrossentropy celoss
    binary_cross_entropy: bce bceloss bcewithlogitsloss binarycrossentropyloss logloss
    log_loss: crossentropy binarycrossentropy categoricalcrossentropy neglogloss
    focal_cross_entropy: focalloss categoricalfocalcrossentropy focal
    huber: smoothl1loss huberloss smoothl1
    kl_divergence: kldivloss kld kullbackleiblerdivergence
    poisson: poissonnllloss
    gaussian_negative_log_likelihood: gaussiannllloss
    ctc: ctcloss
    triplet: tripletmarginloss tripletloss
    contrastive: contrastiveloss
    cosine_similarity: cosineembeddingloss
    categorical_hinge: multimarginloss
    hinge: hingeloss
    quantile: pinball pinballloss quantileloss
    log_cosh: logcoshloss
    dice: diceloss
    sgd: stochasticgradientdescent
    gradient_descent: gd batchgradientdescent
    radam: rectifiedadam
    amsgrad: adamamsgrad
    lbfgs: lbfgsb bfgs
    sharpness_aware: sam
    exponential_moving_average: ema
    silu: swish
    hard_tanh: hardtan
    leaky_relu: prelu rrelu
    sigmoid: logistic expit
    linear: none identity
    glorot_uniform: xavieruniform xavier glorot
    glorot_normal: xaviernormal
    he_uniform: kaiminguniform
    he_normal: kaimingnormal he kaiming
    random_normal: normal gaussian
    random_uniform: uniform
    truncated_normal: truncnormal
    zeros: zero
    ones: one
    step: steplr piecewiseconstantdecay
    cosine: cosineannealing cosineannealinglr cosinedecay
    cosine_restarts: cosineannealingwarmrestarts cosinedecayrestarts
    exponential: exponentiallr exponentialdecay
    polynomial: polynomiallr polynomialdecay linearlr linear
    inverse_square_root: inversetimedecay invsqrt noam invscaling
    one_cycle: onecyclelr
    sequence: sequentiallr
    constant: constantlr
    accuracy: acc categoricalaccuracy binaryaccuracy sparsecategoricalaccuracy accuracyscore
    r2: rsquared r2score
    roc_auc: auc rocaucscore auroc
    pr_auc: averageprecision averageprecisionscore auprc
    f_beta: f1 f1score fscore fbetascore f1macro
    precision: precisionscore
    recall: recallscore sensitivity
    confusion_matrix: confusion errorrate
    iou: jaccard jaccardscore meaniou
    top_k_categorical_accuracy: topk topkaccuracy top5
    expected_calibration_error: ece calibrationerror
    edit_distance: levenshtein worderrorrate
    max_norm: maxnormconstraint
    non_negative: nonneg
    l2: ridge weightdecay
    l1: lasso
    l1_l2: elasticnet
    builtin: sample example toy generated
    dataset: file upload csv
    inline: array arrays json
    fraction: random holdout
    validation: valid val dev eval evaluation holdout
    train: training trn fit
    succeeded: done finished completed complete success ok
    failed: error errored
    cancelled: canceled stopped aborted
    queued: pending waiting
    running: active started
    """
)
"""Types and words, by what others call them."""

FIELDS = _table(
    """
    learning_rate: lr learningrateinit stepsize eta alpha eta0 initiallr scheduler lrscheduler learningrateschedule
    initial_learning_rate: lr learningrate
    max_lr: lr learningrate maxlearningrate
    units: neurons nodes outfeatures hiddenunits hiddensize numunits nunits numneurons outputsize outputdim outdim dim
    units: width
    filters: outchannels numfilters nfilters channels kernels
    kernel_size: filtersize kernel
    pool_size: kernelsize poolingsize
    strides: stride
    dilation_rate: dilation
    use_bias: bias
    rate: p prob probability droprate dropoutrate dropout
    epsilon: eps
    beta_1: betas
    negative_slope: alpha slope
    input_dim: numembeddings vocabsize vocabularysize maxtokens
    output_dim: embeddingdim embeddim embeddingsize
    key_dim: embeddim headdim
    num_heads: nhead heads nheads
    activation: act nonlinearity activationfunction
    epochs: nepochs numepochs maxiter maxepochs niter iterations epoch numiterations nbepoch
    batch_size: batch minibatch minibatchsize
    seed: randomstate randomseed rngseed
    fraction: validationsplit valsplit validationfraction valfraction validationsize valsize testsize testsplit
    validation: fraction
    test: testsize testsplit testfraction
    patience: niternochange
    min_delta: tol tolerance threshold
    tolerance: tol
    value: threshold
    architecture: model network net
    layers: modules blocks hiddenlayers
    data: dataset trainingdata traindata datasource
    id: datasetid
    loss: criterion lossfunction lossfn objective
    optimizer: optim optimiser solver
    x: inputs xtrain input
    y: labels outputs ytrain targets
    target: targetcolumn label labelcolumn ycolumn
    features: columns featurecolumns inputcolumns xcolumns
    class_weight: classweights
    sample_weight: sampleweights weights weightcolumn
    metrics: metric scoring
    max_runtime: maxtime timeout maxseconds timelimit
    metadata: tags annotations
    reduce_lr_on_plateau: reducelronplateau plateau
    early_stopping: earlystop
    return_sequences: returnsequence
    target_shape: shape outputshape
    start_from: warmstart initialweights pretrained resumefrom
    factor: gamma
    decay_rate: gamma
    decay_steps: tmax stepsize totalsteps
    type: classname kind
    """
)
"""Fields, by what others call them."""

_FROM_DATA = "leave it out: the shape of the input follows from the data"
_CLIP = 'wrap the optimizer: {"type": "clip_by_norm", "max_norm": 1.0, "optimizer": {"type": "adam"}}'
_DECAY = 'use the optimizer {"type": "adamw", "weight_decay": 0.01}, or a kernel_regularizer of a layer'
_ON_WORKERS = "leave it out: the service chooses where and how it trains"

REMARKS: Mapping[str, str] = MappingProxyType(
    {
        "hiddenlayersizes": "write one layer for each in /architecture/layers, such as "
        '{"type": "dense", "units": 100, "activation": "relu"}',
        "callbacks": "set /training/early_stopping, /training/reduce_lr_on_plateau or /training/target instead",
        "inputshape": _FROM_DATA,
        "batchinputshape": _FROM_DATA,
        "inputsize": _FROM_DATA,
        "inputdim": _FROM_DATA,
        "infeatures": _FROM_DATA,
        "inchannels": _FROM_DATA,
        "numfeatures": _FROM_DATA,
        "batchfirst": "leave it out: the first axis is always that of the rows",
        "dataformat": "leave it out: channels are always the last axis",
        "validationdata": "set /data/validation to hold rows out, or add their rows and name them by /data/split",
        "verbose": "leave it out: the job's metrics and events tell its progress",
        "device": _ON_WORKERS,
        "njobs": _ON_WORKERS,
        "workers": _ON_WORKERS,
        "usemultiprocessing": _ON_WORKERS,
        "dtype": _ON_WORKERS,
        "clipnorm": _CLIP,
        "globalclipnorm": _CLIP,
        "maxgradnorm": _CLIP,
        "gradclip": _CLIP,
        "gradientclipping": _CLIP,
        "clipvalue": 'wrap the optimizer: {"type": "clip_by_value", "clip_value": 0.5, "optimizer": {"type": "adam"}}',
        "weightdecay": _DECAY,
        "decay": 'write a schedule as learning_rate, such as {"type": "exponential", …}; ' + _DECAY,
        "dropout": 'add a layer of its own, such as {"type": "dropout", "rate": 0.5}',
        "name": "leave it out: parts of a spec have no names, and layers are known by their places",
        "config": "write its fields beside the type",
        "params": "write its fields beside the type",
        "kwargs": "write its fields beside the type",
        "fromlogits": "leave it out: the loss applies the last activation itself",
        "reduction": "leave it out: a loss is the mean over the rows",
        "validationsteps": "leave it out: all validation rows are measured after each epoch",
        "stepsperepoch": "leave it out: an epoch takes all training rows",
        "stateful": "leave it out: each row is a sequence of its own",
        "numlayers": 'write each layer, or {"type": "repeat", "n": 2, "layer": {…}}',
        "seed": "set /training/seed: one seed gives all random numbers",
        "randomstate": "set /training/seed: one seed gives all random numbers",
    }
)
"""What to do about fields of others that have no counterpart."""

TYPE_REMARKS: Mapping[str, str] = MappingProxyType(
    {
        "input": _FROM_DATA,
        "inputlayer": _FROM_DATA,
        "mlpclassifier": "write its layers: dense layers, the last with one unit a class",
        "mlpregressor": "write its layers: dense layers, the last with one unit a number",
        "transformer": "build it of multi_head_attention, layer_normalization and dense layers in residual and repeat",
        "reducelronplateau": "set /training/reduce_lr_on_plateau",
        "earlystopping": "set /training/early_stopping",
    }
)
"""What to do about types of others that have no counterpart."""
