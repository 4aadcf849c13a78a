"""Optimisers, each a dictionary of update expressions; schedules of step sizes; averaging of iterates."""

from symvi.optim.adaptive import AdaDelta, AdaGrad, Adam, RMSProp
from symvi.optim.averaging import Average
from symvi.optim.gradient_ascent import SGD, Momentum, Nesterov
from symvi.optim.optimizer import Optimizer
from symvi.optim.schedules import Constant, CosineDecay, ExponentialDecay, Halving, Piecewise, RobbinsMonro, Schedule, Warmup, as_schedule

__all__ = [
    "Optimizer", "SGD", "Momentum", "Nesterov", "AdaGrad", "AdaDelta", "RMSProp", "Adam", "Average",
    "Schedule", "Constant", "RobbinsMonro", "ExponentialDecay", "CosineDecay", "Piecewise", "Halving", "Warmup", "as_schedule",
]  # fmt: skip
