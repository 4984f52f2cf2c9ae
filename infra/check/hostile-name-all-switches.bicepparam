using '../main.bicep'

// A name that azd allows and services do not, and every switch.
param environmentName = 'My.Env_(2)'
param location = 'swedencentral'
param principalId = '11111111-1111-1111-1111-111111111111'
param operatorsPrincipalId = '22222222-2222-2222-2222-222222222222'
param privateNetworking = true
param restrictInbound = true
param zoneRedundant = true
param geoRedundant = true
param useGpu = false
param uploadsQueue = 'uploads'
param web = true
param webEntraClientId = '33333333-3333-3333-3333-333333333333'
param webAddresses = '203.0.113.7/32'
param registrySku = 'Premium'
param alertEmail = 'operator@example.org'
param allowedIpRanges = '198.51.100.0/24, 203.0.113.7'
param alwaysReadyInstances = 1
param runnerSettings = { PRESET: 'high' }
param dispatcherSettings = { MAX_WAIT_SECONDS: '60' }
