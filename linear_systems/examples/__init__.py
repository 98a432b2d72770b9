"""Systems to try things on: named benchmarks, their facts, random systems with a chosen spectrum."""
