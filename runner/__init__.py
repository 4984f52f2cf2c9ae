"""The job: frames -> poses -> training -> PLY and SPLAT. Heavy imports stay inside the stages."""
