using '../main.bicep'

// A profile that modules/job.bicep does not know, and a second job in another region.
param environmentName = 'scan-prod'
param location = 'swedencentral'
param principalId = '11111111-1111-1111-1111-111111111111'
param gpuProfileType = 'Consumption-GPU-NEW'
param gpuProfileSizes = { 'Consumption-GPU-NEW': { cpu: '16', memory: '128Gi' } }
param gpuProfileFallback = 'Consumption-GPU-NC24-A100'
param gpuProfileFallbackLocation = 'westus3'
param fallbackSettings = { PRESET: 'draft' }
