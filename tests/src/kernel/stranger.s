# Somebody else's program at the way out of a device. It passes every frame, and asks nobody behind it.
# `llvm-mc --triple=bpfel --filetype=obj stranger.s -o stranger.o` makes the object.
	.section classifier, "ax", @progbits
	.globl stranger
	.type stranger, @function
stranger:
	r0 = 0				# TC_ACT_OK
	exit
	.size stranger, . - stranger
