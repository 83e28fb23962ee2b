"""Keras to ONNX: conversion, rewrite passes, int8."""
