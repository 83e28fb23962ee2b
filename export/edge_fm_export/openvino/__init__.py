"""ONNX to OpenVINO IR: conversion, int8, smaller files."""
